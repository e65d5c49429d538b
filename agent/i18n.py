"""Texts that a technician reads, in English or Thai.

The source is English. Machine text (log events, field names, topics) is never translated. The agent itself speaks
English, to whoever listens; the commands say again in the language of their terminal what it has said.
"""

from __future__ import annotations

import gettext
import re
import unicodedata
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from string import Formatter
from struct import unpack_from
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOMAIN = "roadside"
FOLDER = Path(__file__).parent / "locale"
LANGUAGES = ("en", "th")
ENOUGH = 4  # characters that a text must share with a template to be taken for one of its making

_current: gettext.NullTranslations = gettext.NullTranslations()


def language(environment: Mapping[str, str]) -> str:
    """Return the language that a locale environment asks for: "th", or "en" for any other."""
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    wishes = [one for one in environment.get("LANGUAGE", "").split(":") if one]
    if locale in {"C", "POSIX"} or not wishes:  # gettext(3): there LANGUAGE has no say
        wishes = [locale]
    spoken = (re.split("[_.@]", wish)[0] for wish in wishes)
    return next((one for one in spoken if one in LANGUAGES), "en")


def install(name: str) -> None:
    """Show texts in this language from now on."""
    global _current  # noqa: PLW0603 - one process speaks one language, and every text passes here
    _current = gettext.translation(DOMAIN, FOLDER, [name], fallback=True)


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Make texts in this language meanwhile."""
    global _current  # noqa: PLW0603 - as above
    before = _current
    install(name)
    try:
        yield
    finally:
        _current = before


def _(text: str) -> str:
    """Return a text in the language of the technician."""
    return _current.gettext(text) if text else ""  # the empty text is the catalogue's own header


def ngettext(one: str, many: str, count: int) -> str:
    """Return the text for this count."""
    return _current.ngettext(one, many, count)


def retold(text: str) -> str:
    """Say in the language of the technician what another process has said in English; what is not ours stays as it is.

    The template that it was made by is looked for in the catalogue, and what was filled in may itself be retold. Behind
    `gateway.toml:14: devices.air-1.driver: ` or the like the rest is.
    """
    if not isinstance(_current, gettext.GNUTranslations):
        return text
    if (known := _(text)) != text:
        return known
    for template in _templates():
        if (values := _filled_in(template, text)) is not None:
            told = {name: retold(value) for name, value in values.items()}
            return "".join(
                literal + told.get(name or "", "") for literal, name, _spec, _how in Formatter().parse(_(template))
            )
    before, colon, rest = text.partition(": ")
    return before + colon + retold(rest) if colon else text


@cache
def _templates() -> list[str]:
    """Return the texts of the catalogue in which something is filled in, those that say most first."""
    data = Path(FOLDER, "th", "LC_MESSAGES", f"{DOMAIN}.mo").read_bytes()
    count, table = unpack_from("<2I", data, 8)  # gettext(1), "The Format of GNU MO Files"
    entries = (unpack_from("<2I", data, table + 8 * index) for index in range(count))
    texts = [one for size, at in entries for one in data[at : at + size].decode().split("\0") if "{" in one]
    usable = (one for one in texts if _weight(one) >= ENOUGH and all(map(_is_plain, Formatter().parse(one))))
    return sorted(usable, key=_weight, reverse=True)


def _is_plain(part: tuple[str, str | None, str | None, str | None]) -> bool:
    return part[1] is None or part[1].isidentifier()


def _weight(template: str) -> int:
    return sum(not character.isspace() for literal, *_rest in Formatter().parse(template) for character in literal)


def _filled_in(template: str, text: str) -> dict[str, str] | None:
    """Return what was filled in where this template has made a text; None if another one has."""
    parts = list(Formatter().parse(template))
    if not all(literal in text for literal, *_rest in parts):
        return None  # much cheaper than what follows
    pattern, known = "", set()
    for literal, name, _spec, _how in parts:
        pattern += re.escape(literal)
        if name is not None:
            pattern += f"(?P={name})" if name in known else f"(?P<{name}>.*?)"
            known.add(name)
    match = re.fullmatch(pattern, text, re.DOTALL)
    return match.groupdict() if match is not None else None


def width(text: str) -> int:
    """Return how many terminal cells a line of text takes: Thai vowels and tone marks above and below take none."""
    return sum(map(_cells, text))


def pad(text: str, cells: int) -> str:
    """Fill a text up with spaces to this many terminal cells."""
    return text + " " * (cells - width(text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf", "Cc"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
