"""Recorded bytes of real devices, played onto a wire: at the pace of a serial line, or as they once came."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hil.recorded import Capture, Piece
    from hil.wires.wire import Wire

BITS = 10  # of one byte on an 8N1 line
SLICE = 0.01  # seconds; what a line carries in that time is written at once


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


class Player:
    """Plays a capture onto a wire, as the device would: what came unasked when it came, an answer when it is asked for.

    A question that was asked several times gets its answers in turn, over and over. One that was never asked gets none.
    """

    def __init__(self, wire: Wire, capture: Capture, *, times: float = 1.0) -> None:
        """Play so many times as fast as it was."""
        self._wire = wire
        self._times = times
        self._unasked, self._answers = _parted(capture.pieces)
        self._longest = max(map(len, self._answers), default=0)
        self._heard = b""
        self._answering: set[asyncio.Task[None]] = set()
        self.answered = 0
        if self._answers:
            wire.listen(self._hear)

    async def run(self) -> None:
        """Play what came unasked, and return; answers are given as long as somebody asks."""
        await self._play(self._unasked)

    def _hear(self, data: bytes) -> None:
        self._heard = (self._heard + data)[-self._longest :]
        asked = next((each for each in self._answers if self._heard.endswith(each)), None)
        if asked is None:
            return
        self._heard = b""
        answers = self._answers[asked]
        answer = answers[0]
        answers.append(answers.pop(0))
        self.answered += 1
        task = asyncio.get_running_loop().create_task(self._play(answer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _play(self, pieces: list[Piece]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for piece in pieces:
            await asyncio.sleep(began + piece.at / self._times - loop.time())
            self._wire.write(piece.data)


def _parted(pieces: Iterable[Piece]) -> tuple[list[Piece], dict[bytes, list[list[Piece]]]]:
    """Return what came unasked, and by question its answers; the times are since the first of it, or the question."""
    unasked: list[Piece] = []
    answers: dict[bytes, list[list[Piece]]] = {}
    into, since = unasked, None
    for piece in pieces:
        if piece.sent:
            into, since = [], piece.at
            answers.setdefault(piece.data, []).append(into)
            continue
        since = piece.at if since is None else since
        into.append(piece._replace(at=piece.at - since))
    return unasked, answers
