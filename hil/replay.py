"""Recorded bytes of real devices, played onto a wire: at the pace of a serial line, or as they once came.

`python -m hil.replay FILE LINK` makes a line at LINK and plays onto it what `roadside watch --record` wrote.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hil.wires.wire import Wire

BITS = 10  # of one byte on an 8N1 line
SLICE = 0.01  # seconds; what a line carries in that time is written at once
CAME = re.compile(r"hex ([0-9A-Fa-f ]+)# (\d+\.\d+)")  # of a recording; what was sent to the device says so behind it


class Piece(NamedTuple):
    """Bytes that came at once."""

    at: float  # seconds since the recording began
    data: bytes


def from_hex(text: str) -> bytes:
    """Return the bytes of a text such as `42 4D 00 1C`; raises ValueError."""
    return bytes.fromhex(text)


def from_escaped(text: str) -> bytes:
    r"""Return the bytes of a text such as `$GPTXT*2A\r\n`, escaped as in a Python bytes literal."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def load(path: Path) -> list[bytes]:
    r"""Return the recordings in a file, one a line of a `.txt`, else the whole file as one.

    In a text, lines that begin with `#` are remarks and only the part before a tab counts. It is hexadecimal unless a
    remark says that the encoding is ASCII.
    """
    if path.suffix != ".txt":
        return [path.read_bytes()]
    lines = path.read_text(encoding="utf-8").splitlines()
    escaped = any("encoding" in line and "ASCII" in line for line in lines if line.startswith("#"))
    first = [line.partition("\t")[0] for line in lines if line and not line.startswith("#")]
    return [from_escaped(text) if escaped else from_hex(text) for text in first]


async def play(wire: Wire, recordings: Iterable[bytes], *, baud: int = 9600, pause: float = 0.0) -> int:
    """Write recordings at the pace of a line, with a pause in seconds after each; returns how many bytes there were."""
    size = max(1, round(baud / BITS * SLICE))
    total = 0
    for recording in recordings:
        for start in range(0, len(recording), size):
            piece = recording[start : start + size]
            wire.write(piece)
            total += len(piece)
            await asyncio.sleep(len(piece) * BITS / baud)
        if pause:
            await asyncio.sleep(pause)
    return total


def load_timed(path: Path) -> list[Piece]:
    """Return what came from a device while `roadside watch --record` listened; what was sent to it is left out."""
    lines = map(str.rstrip, path.read_text(encoding="utf-8").splitlines())
    return [Piece(float(found[2]), from_hex(found[1])) for line in lines if (found := CAME.fullmatch(line))]


async def play_timed(wire: Wire, pieces: Iterable[Piece], *, times: float = 1.0) -> int:
    """Write each piece when it came, so many times as fast; returns how many bytes there were."""
    loop = asyncio.get_running_loop()
    total, first = 0, None
    began = loop.time()
    for piece in pieces:
        first = piece.at if first is None else first
        await asyncio.sleep(began + (piece.at - first) / times - loop.time())
        wire.write(piece.data)
        total += len(piece.data)
    return total


async def _main(file: Path, link: Path) -> None:
    from hil.wires.pty import Pty

    with Pty(link) as line:
        while not line.heard:  # until somebody opens it
            line.write(b"")
            await asyncio.sleep(SLICE)
        await play_timed(line, load_timed(file))
        await asyncio.sleep(1.0)  # for whoever reads the last


if __name__ == "__main__":
    asyncio.run(_main(*map(Path, sys.argv[1:])))
