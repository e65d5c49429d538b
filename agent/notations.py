r"""How bytes are written down as text: `42 4D 00 1C`, `0x42,0x4d`, or `R0925\r` with Python's escapes.

Like a decoder, a notation is fed as the text comes, however it was cut. A mistake is told with its place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agent.config.problems import printable, shown
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = re.compile(rb"(?P<break>\n)|(?P<comment>#[^\n]*)|(?P<space>[\s,;]+?)|(?P<word>[^\s,;#]+)")
HEX = re.compile(rb"(?:0[xX])?(?:[0-9A-Fa-f]{2})+[hH]?|(?:0[xX])?[0-9A-Fa-f]|[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2})+")
PIECE = re.compile(
    rb"(?P<plain>[^\\\n]+)|(?P<break>\n)|(?P<octal>\\[0-7]{1,3})|(?P<hex>\\x[0-9A-Fa-f]{2})|(?P<other>\\[^x0-7])"
    rb"|(?P<open>\\(?:x[0-9A-Fa-f]?)?\Z)|(?P<wrong>\\x)",
    re.DOTALL,
)
LETTERS = dict(zip(b"abfnrtv\\'\"\n", [*b"\a\b\f\n\r\t\v\\'\"", None], strict=True))


class NotationError(ValueError):
    """A text is not in the notation it was said to be in."""

    def __init__(self, line: int, column: int, text: str) -> None:
        super().__init__(_("line {line}, column {column}: {text}").format(line=line, column=column, text=text))


class Notation(Protocol):
    """Turns text into bytes."""

    def feed(self, text: bytes) -> bytes:
        """Take the next of the text and return the bytes it completes; raises NotationError."""
        ...

    def end(self) -> bytes:
        """Take the end of the text and return what is left; raises NotationError."""
        ...


class Raw:
    """Bytes as they are; a `Notation`."""

    def feed(self, text: bytes) -> bytes:
        """Return the same."""
        return text

    def end(self) -> bytes:
        """Nothing was kept back."""
        return b""


class Word(NamedTuple):
    """One word and where it stands, both counted from 1."""

    text: bytes
    line: int
    column: int

    def wrong(self, rule: str) -> NotationError:
        """Return the error that this word is."""
        word = printable(shown(self.text.decode("latin-1")))
        return NotationError(self.line, self.column, _("{rule}, not {value}").format(rule=rule, value=word))


class Words:
    """Splits text at blanks and commas; `#` begins a comment that lasts to the end of its line."""

    def __init__(self) -> None:
        self._line = self._column = 1
        self._rest = b""

    def feed(self, text: bytes) -> Iterator[Word]:
        """Take the next of the text and return the words it completes."""
        return self._split(self._rest + text, ended=False)

    def end(self) -> Iterator[Word]:
        """Return the last word, if there is one."""
        return self._split(self._rest, ended=True)

    def _split(self, text: bytes, *, ended: bool) -> Iterator[Word]:
        self._rest = b""
        for found in TOKEN.finditer(text):
            if found.end() == len(text) and not ended and found.lastgroup in {"word", "comment"}:
                self._rest = found[0] if found.lastgroup == "word" else b"#"
                break
            if found.lastgroup == "word":
                yield Word(found[0], self._line, self._column)
            if found.lastgroup == "break":
                self._line, self._column = self._line + 1, 1
            else:
                self._column += len(found[0])


class Hex:
    """Hexadecimal digits in any usual form; a `Notation`."""

    def __init__(self) -> None:
        self._words = Words()

    def feed(self, text: bytes) -> bytes:
        """Return the bytes of all words that are complete."""
        return b"".join(map(self._bytes, self._words.feed(text)))

    def end(self) -> bytes:
        """Return the bytes of the last word."""
        return b"".join(map(self._bytes, self._words.end()))

    @staticmethod
    def _bytes(word: Word) -> bytes:
        if not HEX.fullmatch(word.text):
            raise word.wrong(_("bytes are pairs of hexadecimal digits, such as 42 4D, 424D or 0x42"))
        digits = word.text.decode().lower().removeprefix("0x").removesuffix("h")
        return bytes.fromhex(digits.replace(":", "").replace("-", "").rjust(2, "0"))


class Escaped:
    r"""Text with the escapes of Python's bytes, `\r`, `\x1b`, `\033`; a `Notation`.

    The line break at the very end is not one of the bytes: whatever writes a text file puts one there.
    """

    def __init__(self) -> None:
        self._line = self._column = 1
        self._rest = b""

    def feed(self, text: bytes) -> bytes:
        """Return what is complete."""
        return b"".join(self._pieces(self._rest + text, ended=False))

    def end(self) -> bytes:
        """Return what was kept back."""
        return b"".join(self._pieces(self._rest.removesuffix(b"\n"), ended=True))

    def _pieces(self, text: bytes, *, ended: bool) -> Iterator[bytes]:
        self._rest = b""
        for found in PIECE.finditer(text):
            kind, piece = found.lastgroup, found[0]
            if found.end() == len(text) and not ended and kind in {"break", "octal", "open"}:
                self._rest = piece
                break
            if kind in {"open", "wrong"}:
                rule = _("two hexadecimal digits stand behind \\x, and \\\\ means a backslash")
                raise Word(text[found.start() : found.start() + 4], self._line, self._column).wrong(rule)
            yield _meant(piece, kind)
            breaks = piece.count(b"\n")
            self._line += breaks
            self._column = len(piece) - piece.rindex(b"\n") if breaks else self._column + len(piece)


def _meant(piece: bytes, kind: str | None) -> bytes:
    if kind == "hex":
        return bytes.fromhex(piece[2:].decode())
    if kind == "octal":
        return bytes((int(piece[1:], 8) & 0xFF,))
    if kind == "other":
        letter = LETTERS.get(piece[1], ...)
        return piece if letter is ... else b"" if letter is None else bytes((letter,))
    return piece
