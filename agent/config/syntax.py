"""What is wrong with a text that is not TOML, in our own words: where, what, and how to mend it if that is clear."""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from typing import NamedTuple

from agent.config.locate import locate
from agent.config.problems import Problem, Source, dotted, printable
from agent.config.wording import is_secret
from agent.i18n import _, width
from drivers.contract import N_

_CLOSING = N_("a text is not closed")
_CHARACTER = N_("this character cannot stand here")
_BACKSLASH = N_("a backslash that means nothing")
_TWICE = N_("this already stands elsewhere")
_HEADER = N_("the bracket of a table's name is not closed")
_COMMA = N_("a comma or the closing bracket is missing")

# How tomllib's messages begin -> our words. A message that is not among them is told as "cannot be understood".
MESSAGES = {
    "Invalid statement": N_("a line begins with a key, with [ or with #"),
    "Invalid value": N_("this is not a value"),
    "Expected newline or end of document": N_("the line should end here"),
    "Expected '=' after a key": N_("'=' is missing after the key"),
    "Expected ']' at the end": _HEADER,
    "Expected ']]' at the end": _HEADER,
    "Expected": _CLOSING,
    "Unterminated string": _CLOSING,
    "Illegal character '\\n'": _CLOSING,
    "Found invalid character '\\n'": _CLOSING,
    "Illegal character": _CHARACTER,
    "Found invalid character": _CHARACTER,
    "Invalid initial character": N_("a key is missing, or begins with a character that needs quotes"),
    "Invalid date": N_("there is no such date or time"),
    "Unescaped '\\'": _BACKSLASH,
    "Invalid hex value": _BACKSLASH,
    "Escaped character": _BACKSLASH,
    "Unclosed array": _COMMA,
    "Unclosed inline table": _COMMA,
    "Duplicate inline table key": _TWICE,
    "Cannot ": _TWICE,
}
_UNKNOWN = N_("this cannot be understood")

LONGEST_EXCERPT = 100  # characters of a line that are shown
LONGEST_VALUE = 60  # characters of a value that is proposed

_PAIR = re.compile(r"(\s*[^=\s#\[][^=#]*?\s*=\s*)(.*)")
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»", '"') | dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'"))
_THAI_DIGITS = str.maketrans("๐๑๒๓๔๕๖๗๘๙", "0123456789")
_WORDS = {"true": "true", "false": "false", "yes": "true", "no": "false", "on": "true", "off": "false"}
_STRAIGHT = {'"', "'"}
_PROPOSABLE = {_CLOSING, MESSAGES["Invalid value"], MESSAGES["Expected newline or end of document"]}


class _Place(NamedTuple):
    """Where tomllib stopped: line and column from 0."""

    lines: list[str]
    line: int
    column: int

    @property
    def text(self) -> str:
        """The line."""
        return self.lines[self.line]

    @property
    def character(self) -> str:
        """The character there; "" at the end of the line."""
        return self.text[self.column : self.column + 1]

    @property
    def secret(self) -> bool:
        """Whether a secret may stand around here: this line, or the one its value began on, names one."""
        begin = next((line for line in reversed(self.lines[: self.line]) if "=" in line), "")
        return any(is_secret(line) or "@" in line for line in (begin, self.text))


def not_toml(source: Source, message: str) -> Problem:
    """Return the problem of a text that tomllib refused with this message."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    lines = source.text.replace("\r\n", "\n").rstrip("\n").split("\n")
    said = match[1] if match else message
    if match and match[2]:
        place = _Place(lines, min(int(match[2]), len(lines)) - 1, int(match[3]) - 1)
    else:
        place = _Place(lines, len(lines) - 1, len(lines[-1]))
    for repeat in locate(source.text).repeats:
        if repeat.again == place.line + 1:
            text = _("stands here a second time; the first is on line {line}").format(line=repeat.first)
            return Problem(source.name, repeat.again, dotted(repeat.path), text)
    what = next((words for begin, words in MESSAGES.items() if said.startswith(begin)), _UNKNOWN)
    place = _moved(place, said, what)
    if place.column < len(place.text):
        where = _("column {column}").format(column=place.column + 1)
    else:
        where = _("end of the line")
    text = _("is not TOML: {error} ({where})").format(error=_(what), where=where)
    hint = _hint(place, what)
    return Problem(source.name, place.line + 1, "", f"{text}; {hint}" if hint else text, _excerpt(place))


def _moved(place: _Place, said: str, what: str) -> _Place:
    """Return where the mistake is, if tomllib noticed it only later."""
    if said == 'Expected "\'"':  # it looks for the closing quote up to the end of the document
        begun = [number for number, line in enumerate(place.lines) if re.match(r"[^#]*[=\[,]\s*'[^']*$", line)]
        line = begun[-1] if begun else place.line
        return place._replace(line=line, column=len(place.lines[line]))
    if what == _BACKSLASH:  # it stops behind it
        return place._replace(column=max(place.text.rfind("\\", 0, place.column), 0))
    return place


def _excerpt(place: _Place) -> str:
    """Return the line with a caret below the column; nothing if it may hold a secret."""
    if place.secret or not place.text.strip():
        return ""
    start = max(0, place.column - LONGEST_EXCERPT * 2 // 3)
    line = place.text.replace("\t", " ")
    before, rest = line[start : place.column], line[place.column : start + LONGEST_EXCERPT]
    return f"    {printable(before + rest)}\n    {' ' * width(printable(before))}^"


def _hint(place: _Place, what: str) -> str:
    """Return how to mend it; nothing if that is not clear."""
    if what != _CLOSING and (hint := _of_character(place.text[place.column :])):
        return hint
    if what in _PROPOSABLE:
        return _of_value(place, what)
    if what == _BACKSLASH:
        return _("in '...' a backslash is a backslash: write patterns in single quotes")
    if what == MESSAGES["Expected '=' after a key"]:
        return _("write '=' in place of ':'") if place.character == ":" else _("write it like this: key = value")
    if what == _COMMA and "{" in place.text:
        return _("a table in braces stands on one line: { key = value, key = value }")
    if what == MESSAGES["Invalid initial character"] and re.search(r"[{,]\s*$", place.text[: place.column]):
        return _("a table in braces stands on one line, without a comma at its end")
    return ""


def _of_character(rest: str) -> str:
    """Return what to say of a character, the first of these, that looks like another one."""
    if rest and rest[0] not in " \t" and unicodedata.category(rest[0]) in {"Zs", "Cf"}:
        text = _("a space that is none ({code}) stands here: write an ordinary one")
        return text.format(code=f"U+{ord(rest[0]):04X}")
    if rest.startswith((";", "//", "--")):
        return _("a comment begins with '#'")
    return ""


def _of_value(place: _Place, what: str) -> str:
    pair = _PAIR.fullmatch(place.text)
    if pair is None:
        return _("a text ends with the quote that it began with") if what == _CLOSING else ""
    if place.column < len(pair[1].rstrip()):
        return _("a list above is not closed")
    written = pair[2] if pair[2][:1] in _STRAIGHT else pair[2].partition("#")[0]
    if not written.strip():
        return _("the value is missing behind '='")
    if what == MESSAGES["Expected newline or end of document"] and re.search(r"[\w-]\s*=", written[1:]):
        return _("each key stands on a line of its own")
    reason, value = _proposed(written.strip())
    if reason is None:
        return _("a text ends with the quote that it began with") if what == _CLOSING else ""
    shown = value if not place.secret and len(value) <= LONGEST_VALUE else "..."
    return _(reason).format(value=shown)


def _proposed(written: str) -> tuple[str | None, str]:
    """Return a sentence and the value that was meant; (None, "") if nobody knows."""
    straight, digits = written.translate(_QUOTES), written.translate(_THAI_DIGITS)
    if digits != written:
        number = N_("digits are 0 to 9: write {value}")
    elif "," in written:
        number = N_("numbers have a point: write {value}")
    else:
        number = N_("a number begins and ends with a digit, and with no 0 too many: write {value}")
    steps = (
        (N_("quotes are straight ones: write {value}"), straight),
        (N_("quotes are straight ones: write {value}"), written if straight == written else _closed(straight)),
        (N_("a truth value is written {value}"), _WORDS.get(written.lower(), written)),
        (number, _number(digits)),
        (number, digits),
        (N_("the closing quote is missing: write {value}"), _closed(written)),
        (N_("a quote within a text ends it: write {value}"), _requoted(written)),
        (N_("a text stands in quotes: write {value}"), _quoted(written)),
    )
    return next(((reason, value) for reason, value in steps if value != written and _is_value(value)), (None, ""))


def _number(written: str) -> str:
    """Return a number the way TOML writes it, if this looks like one."""
    match = re.fullmatch(r"([+-]?)0*(\d*)(?:[.,](\d*))?", written, re.ASCII)
    if match is None or not (match[2] or match[3] or "0" in written):
        return written
    return f"{match[1]}{match[2] or '0'}" + (f".{match[3] or '0'}" if match[3] is not None else "")


def _closed(written: str) -> str:
    return written + written[0] if written[0] in _STRAIGHT else written


def _requoted(written: str) -> str:
    """Return a text that holds the quote it stands in, in the other kind of quotes."""
    if len(written) < 2 or written[0] != written[-1] or written[0] not in _STRAIGHT:
        return written
    other = "'" if written[0] == '"' else '"'
    return other + written[1:-1] + other


def _quoted(written: str) -> str:
    return written if written[0] in {*_STRAIGHT, "[", "{"} else json.dumps(written, ensure_ascii=False)


def _is_value(text: str) -> bool:
    try:
        return tomllib.loads(f"value = {text}").keys() == {"value"}
    except (ValueError, RecursionError):
        return False
