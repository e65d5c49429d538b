"""Texts that a technician reads, in English or Thai.

The source is English. Machine text (log events, field names, topics) is never translated.
"""

from __future__ import annotations

import gettext
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DOMAIN = "roadside"
FOLDER = Path(__file__).parent / "locale"
LANGUAGES = ("en", "th")

_current: gettext.NullTranslations = gettext.NullTranslations()


def language(environment: Mapping[str, str]) -> str:
    """Return the language that a locale environment asks for: "th", or "en" for any other."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if locale := environment.get(variable):
            return "th" if locale.partition(".")[0].partition("_")[0] == "th" else "en"
    return "en"


def install(name: str) -> None:
    """Show texts in this language from now on."""
    global _current  # noqa: PLW0603 - one process speaks one language, and every text passes here
    _current = gettext.translation(DOMAIN, FOLDER, [name], fallback=True)


def _(text: str) -> str:
    """Return a text in the language of the technician."""
    return _current.gettext(text) if text else ""  # the empty text is the catalogue's own header


def ngettext(one: str, many: str, count: int) -> str:
    """Return the text for this count."""
    return _current.ngettext(one, many, count)


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
