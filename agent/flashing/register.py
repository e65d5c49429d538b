"""The register of cards: a CSV file with a line for each card that was made, to which is only ever added."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from typing import TYPE_CHECKING, NamedTuple

from agent.flashing.medium import FlashError
from agent.i18n import _

if TYPE_CHECKING:
    from pathlib import Path


class Line(NamedTuple):
    """One card that was made and checked."""

    made: str  # UTC, ISO 8601
    gateway: str
    check: str  # its check character
    image: str  # file name
    image_sha256: str  # of what was written
    release: str  # version and kind of gateway
    configuration_sha256: str
    card: str  # model
    serial: str  # of the card or its reader
    size: int  # bytes of the card
    seconds: int  # that it took


def add(path: Path, line: Line) -> None:
    """Add a line, on the disk when this returns; raises OSError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    with open(descriptor, "r+b", buffering=0) as file:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # several may add to one file
        size = file.seek(0, os.SEEK_END)
        if not size:
            writer.writerow(Line._fields)
        elif os.pread(descriptor, 1, size - 1) != b"\n":
            text.write("\n")  # somebody's editor, or a cut, has left the last line open
        writer.writerow(line)
        try:
            left = text.getvalue().encode()
            while left:
                left = left[file.write(left) :]
            os.fsync(descriptor)
        except OSError as error:
            os.ftruncate(descriptor, size)  # half a line helps nobody
            error.filename = str(path)
            raise


def lines(path: Path) -> list[Line]:
    """Return all lines that are whole; none if there is no such file. Raises FlashError and OSError.

    A file that is something else is none: who took it for an empty register would make every card again.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            heading, *rows = list(csv.reader(file)) or [[*Line._fields]]
    except (UnicodeDecodeError, csv.Error):
        heading, rows = [], []
    if heading != [*Line._fields]:
        text = _("{path} is no register of cards, or a spreadsheet has changed it: its first line is to be {line}")
        raise FlashError(text.format(path=path, line=",".join(Line._fields)))
    rows = [row for row in rows if len(row) == len(Line._fields)]
    return [_line(row) for row in rows if row[9].isdigit() and row[10].isdigit()]


def _line(row: list[str]) -> Line:
    made, gateway, check, image, image_sha256, release, configuration_sha256, card, serial, size, seconds = row
    return Line(
        made, gateway, check, image, image_sha256, release, configuration_sha256, card, serial, int(size), int(seconds)
    )
