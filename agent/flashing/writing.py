"""Writes an image to a card and reads it all back. Until everything else is done the card says that it is unfinished.

The first sector, which makes a card one that anything can start from, is kept back: a text stands in its place from
before the first byte that is written until after the last. So a card that was cut off at any moment starts nowhere, and
`is_unfinished` knows it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agent.flashing.bmap import Bmap, Range
from agent.flashing.medium import STEP, FlashError, Image
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.flashing.medium import Medium

FIRST = 512  # bytes that are kept back
MARK = b"ROADSIDE: this card is unfinished. Flash it again."
UNFINISHED = MARK + b"\r\n".ljust(FIRST - len(MARK), b"\0")
SYNC_EVERY = 16  # steps: what is said to be written is on the card, or nearly


class Progress(Protocol):
    """Somebody who wants to know how far it is."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take bytes that are done of all: `what` is "write" or "check"."""
        ...


class Written(NamedTuple):
    """What has been written."""

    first: bytes  # the sector that was kept back
    digest: str  # SHA-256 of all that was written, that sector included
    ranges: list[Range]  # where it lies


def is_unfinished(medium: Medium) -> bool:
    """Return whether a card was begun with and not finished."""
    return medium.read(0, len(MARK)) == MARK


def begin(medium: Medium) -> None:
    """Make a card one that is unfinished."""
    medium.write(0, UNFINISHED)
    medium.sync()


def finish(medium: Medium, first: bytes) -> None:
    """Make a card one that is finished, after all that was written is on it; raises FlashError."""
    medium.sync()
    medium.write(0, first)
    medium.sync()
    if medium.read(0, FIRST) != first:
        raise FlashError(_("the card does not keep what is written to it: throw it away"))


def write(medium: Medium, path: Path, bmap: Bmap | None, size: int, progress: Progress) -> Written:
    """Write an image but for its first sector; `size` is about what it has in bytes. Raises FlashError and OSError."""
    whole, first, done, ranges = hashlib.sha256(), b"", 0, list[Range]()
    total = sum(one.end - one.start for one in bmap.ranges) if bmap else size
    with Image(path) as image:
        for offset, data in _parts(image, bmap):
            if offset == 0:
                first = data[:FIRST]
                medium.write(FIRST, data[FIRST:])
            else:
                medium.write(offset, data)
            whole.update(data)
            if ranges and ranges[-1].end == offset:
                ranges[-1] = Range(ranges[-1].start, offset + len(data), "")
            else:
                ranges.append(Range(offset, offset + len(data), ""))
            done += len(data)
            if done // STEP % SYNC_EVERY == 0:
                medium.sync()
            progress("write", done, max(done, total))
    medium.sync()
    if done < total or len(first) < FIRST:
        raise FlashError(_("{path} is not whole: it is shorter than it says itself; get it again").format(path=path))
    progress("write", done, done)
    return Written(first, whole.hexdigest(), ranges)


def check(medium: Medium, written: Written, progress: Progress) -> None:
    """Read all of it back and compare; raises FlashError."""
    whole, done = hashlib.sha256(), 0
    total = sum(one.end - one.start for one in written.ranges)
    for one in written.ranges:
        for offset in range(one.start, one.end, STEP):
            data = medium.read(offset, min(STEP, one.end - offset))
            whole.update(written.first + data[FIRST:] if offset == 0 else data)
            done += len(data)
            progress("check", done, total)
    if whole.hexdigest() != written.digest:
        raise FlashError(
            _("what is read from the card is not what was written: throw it away, or try another card reader")
        )


def _parts(image: Image, bmap: Bmap | None) -> Iterator[tuple[int, bytes]]:
    """Yield what is to be written, and where: all of the image, or what its bmap names."""
    at = 0
    if bmap is None:
        while data := image.read(STEP):
            yield at, data
            at += len(data)
        return
    for one in bmap.ranges:
        while at < one.start:
            at += _some(image, min(STEP, one.start - at))[1]
        digest = hashlib.sha256()
        while at < one.end:
            data, count = _some(image, min(STEP, one.end - at))
            digest.update(data)
            yield at, data
            at += count
        if one.digest and digest.hexdigest() != one.digest:
            raise FlashError(_("{path} is not the image that its bmap was made of").format(path=image.path))


def _some(image: Image, size: int) -> tuple[bytes, int]:
    data = image.read(size)
    if not data:
        raise FlashError(_("{path} is shorter than its bmap says").format(path=image.path))
    return data, len(data)
