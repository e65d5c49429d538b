"""Which blocks of an image hold anything: a .bmap file beside it, as bmaptool makes them (formats 1.3 to 2.0)."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

from agent.flashing.medium import FlashError
from agent.i18n import _

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 16 << 20  # bytes of such a file


class Range(NamedTuple):
    """Some of an image that holds something."""

    start: int  # bytes
    end: int
    digest: str  # SHA-256; empty if it says none


class Bmap(NamedTuple):
    """What a .bmap file says."""

    size: int  # bytes of the image
    ranges: list[Range]


def beside(image: Path) -> Path | None:
    """Return the .bmap file that lies beside an image, if there is one: IMG.bmap, or with .bmap for .img.xz."""
    stem = re.sub(r"\.(xz|zst)$", "", image.name)
    names = (f"{image.name}.bmap", f"{stem}.bmap", re.sub(r"\.img$", "", stem) + ".bmap")
    return next((found for name in names if (found := image.with_name(name)).is_file()), None)


def read(path: Path) -> Bmap:
    """Return what a .bmap file says; raises FlashError if it is none, or not as it was written."""
    try:
        data = path.read_bytes()
        root = ET.fromstring(data[:LARGEST])  # noqa: S314 - a file of whoever flashes; expat refuses what grows without end
        version = root.attrib["version"]
        size, block = int(_text(root, "ImageSize")), int(_text(root, "BlockSize"))
        wanted = root.findtext("BmapFileChecksum", "").strip()
        ranges = [_range(one, block, size) for one in root.findall("BlockMap/Range")]
    except (ET.ParseError, LookupError, ValueError) as error:
        raise FlashError(
            _("{path} is no bmap file ({error}); remove it or get it again").format(path=path, error=error)
        ) from error
    # Its own digest is made with zeros in its place.
    if version.startswith("2") and wanted != hashlib.sha256(data.replace(wanted.encode(), b"0" * 64)).hexdigest():
        raise FlashError(_("{path} is damaged; remove it or get it again").format(path=path))
    if not ranges or any(one.end > other.start for one, other in pairwise(ranges)):
        raise FlashError(
            _("{path} is no bmap file ({error}); remove it or get it again").format(path=path, error="Range")
        )
    return Bmap(size, ranges)


def _text(root: ET.Element, name: str) -> str:
    found = root.findtext(name)
    if found is None:
        raise LookupError(name)
    return found.strip()


def _range(element: ET.Element, block: int, size: int) -> Range:
    first, _dash, last = (element.text or "").strip().partition("-")
    start, end = int(first) * block, min((int(last or first) + 1) * block, size)
    if not 0 <= start < end:
        raise ValueError(element.text)
    return Range(start, end, element.get("chksum", ""))
