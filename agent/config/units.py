"""How durations, sizes and line settings are written; ValueError holds a sentence for the technician."""

from __future__ import annotations

import math
import re

from agent.i18n import _
from drivers.contract import SerialLine

SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
BYTES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
DURATION_PATTERN = r"^\d+(\.\d+)? ?(ms|s|min|h|d)$"
SIZE_PATTERN = r"^\d+(\.\d+)? ?(B|kB|MB|GB|KiB|MiB|GiB)$"
LINE_PATTERN = r"^[1-9]\d{1,6} [5678][NEO][12]$"


def seconds(text: str) -> float:
    """Return the seconds of a duration such as "250 ms", "5 s", "10 min" or "1 h"."""
    if not re.fullmatch(DURATION_PATTERN, text, re.ASCII):
        raise ValueError(_("must be a duration such as '250 ms', '5 s', '10 min' or '1 h'"))
    number, unit = _split(text)
    value = number * SECONDS[unit]
    if not math.isfinite(value):
        raise ValueError(_("is too large a number"))
    return value


def size(text: str) -> int:
    """Return the bytes of a size such as "256 MiB" or "4 GB"."""
    if not re.fullmatch(SIZE_PATTERN, text, re.ASCII):
        raise ValueError(_("must be a size such as '256 MiB' or '4 GB'"))
    number, unit = _split(text)
    value = number * BYTES[unit]
    if not math.isfinite(value):
        raise ValueError(_("is too large a number"))
    return round(value)


def serial_line(text: str) -> SerialLine:
    """Return the line settings of a text such as "9600 8N1"."""
    if not re.fullmatch(LINE_PATTERN, text, re.ASCII):
        raise ValueError(_("must be line settings such as '9600 8N1' or '19200 8E1'"))
    baud, form = text.split(" ")
    return SerialLine(baud=int(baud), bits=int(form[0]), parity=form[1], stop=int(form[2]))


def _split(text: str) -> tuple[float, str]:
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return float(digits), text[len(digits) :]
