"""The records of a directory of a FAT file system: names long and short, and what else stands in them.

Source: the specification named in `agent.flashing.fat`, sections 6 and 7.
"""

from __future__ import annotations

import re
import struct
from datetime import datetime

SIZE = 32  # bytes of a record
LABEL, FOLDER, ARCHIVE, LONG = 0x08, 0x10, 0x20, 0x0F  # attributes, in byte 11
LAST_LONG = 0x40  # in byte 0
LONG_PART = 26  # bytes of a long name in one record
LOWER_STEM, LOWER_ENDING = 0x08, 0x10  # in byte 12, where Windows NT and Linux keep that a short name is in lower case
FITTING = re.compile(r"([A-Z0-9_~-]{1,8})(?:\.([A-Z0-9_~-]{1,3}))?")
FORBIDDEN = b' "*+,./:;<=>?[\\]|'
FIRST_DAY = datetime(1980, 1, 1)  # noqa: DTZ001 - FAT knows no time zones
MOST = 100_000  # short names that differ in their number alone


def name_of(longs: list[bytes], record: bytes) -> str:
    """Return the name that records bear; a label of the file system has none."""
    if record[11] & LABEL:
        return ""
    if longs and all(one[13] == checksum(record[:11]) for one in longs):
        units = b"".join(one[1:11] + one[14:26] + one[28:32] for one in reversed(longs))
        return units.decode("utf-16-le", "replace").split("\0")[0]
    stem, ending = (part.decode("cp437").rstrip() for part in (record[:8], record[8:11]))
    stem = stem.lower() if record[12] & LOWER_STEM else stem
    ending = ending.lower() if record[12] & LOWER_ENDING else ending
    return f"{stem}.{ending}" if ending else stem


def records_for(
    name: str, taken: set[bytes], attributes: int, cluster: int, size: int, moment: datetime
) -> list[bytes]:
    """Return the records of a new file or folder, given the short names that others have."""
    fit = _fitting(name)
    if fit is not None and fit[0] not in taken:  # the firmware of a Pi finds that for sure
        return [record(fit[0], attributes, cluster, size, moment, fit[1])]
    short = _short(name, taken)
    return [*_longs(name, short), record(short, attributes, cluster, size, moment)]


def record(short: bytes, attributes: int, cluster: int, size: int, moment: datetime, lower: int = 0) -> bytes:
    """Return the record that comes last of a name's (section 6); what is older than FAT's first day is of that day."""
    moment = max(moment, FIRST_DAY.replace(tzinfo=moment.tzinfo))
    day = (moment.year - 1980) << 9 | moment.month << 5 | moment.day
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    return struct.pack(
        "<11s3B7HI",
        short, attributes, lower, 0, time, day, day, cluster >> 16, time, day, cluster & 0xFFFF, size,
    )  # fmt: skip


def checksum(short: bytes) -> int:
    """Return the sum that ties a long name to its short one (section 7.2)."""
    total = 0
    for one in short:
        total = ((total & 1) << 7 | total >> 1) + one & 0xFF
    return total


def _fitting(name: str) -> tuple[bytes, int] | None:
    """Return the short name that says all of a name, and which parts of it are in lower case; None if none does."""
    match = FITTING.fullmatch(name.upper())
    stem, _, ending = name.partition(".")
    if match is None or not all(part in {part.lower(), part.upper()} for part in (stem, ending)):
        return None
    lower = LOWER_STEM * (stem != stem.upper()) | LOWER_ENDING * (ending != ending.upper())
    return match[1].encode().ljust(8) + (match[2] or "").encode().ljust(3), lower


def _short(name: str, taken: set[bytes]) -> bytes:
    """Return a short name that nobody has yet, such as `ROADSI~1TXT`."""
    stem, _, ending = name.upper().encode("ascii", "replace").rpartition(b".")
    stem, ending = (stem, ending) if stem else (ending, b"")
    stem, ending = (bytes(one for one in part if one not in FORBIDDEN) for part in (stem, ending))
    for number in range(1, MOST):
        tail = b"~%d" % number
        short = (stem[: 8 - len(tail)] + tail).ljust(8) + ending[:3].ljust(3)
        if short not in taken:
            return short
    raise OSError(f"there are too many files with names like {name}")


def _longs(name: str, short: bytes) -> list[bytes]:
    """Return the records of a long name, as they stand before its short one (section 7)."""
    units = name.encode("utf-16-le")
    count = -(-len(units) // LONG_PART)
    if len(units) % LONG_PART:
        units = (units + b"\0\0").ljust(count * LONG_PART, b"\xff")
    check, records = checksum(short), []
    for number in range(1, count + 1):
        part = units[(number - 1) * LONG_PART : number * LONG_PART]
        order = bytes([number | LAST_LONG if number == count else number])
        records.append(order + part[:10] + bytes([LONG, 0, check]) + part[10:22] + b"\0\0" + part[22:])
    return records[::-1]
