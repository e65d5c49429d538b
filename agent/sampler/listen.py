"""Samples a serial device that speaks unasked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.sampler.prompting import prompted
from drivers.contract import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.sampler.pipeline import Pipeline
    from agent.sampler.prompting import Prompter
    from agent.seams import Clock
    from drivers.contract import Decoder, Item, ListeningDriver, SerialLine, TimedDecoder
    from drivers.seams import SerialPort, SerialPorts

BITS_A_BYTE = 10  # with start and stop bit
PIECE = 1024  # bytes decoded before the others have their turn
FLOOD = 4.0  # seconds' worth of the line at once: more than any stall of ours explains


async def listen(
    pipeline: Pipeline, driver: ListeningDriver, path: str, line: SerialLine, ports: SerialPorts, clock: Clock
) -> None:
    """Open the port and feed the decoder until the port is lost; raises PortError."""
    port = await ports.open(path, line)
    try:
        settings = pipeline.device.settings
        decoder = Untimed(driver.make(settings)) if driver.timed is None else driver.timed(settings)
        decoder.recall(pipeline.recall())
        most = round(FLOOD * line.baud / BITS_A_BYTE)
        source = prompted(port, driver.prompt(settings) if driver.prompt else None)
        due = decoder.due()
        while True:
            data = await (source.read() if due is None else _read(source, due, clock))
            at = clock.boottime()
            for start in range(0, min(len(data), most), PIECE):
                if start:
                    try:
                        await asyncio.sleep(0)  # the others want their turn, as they have it while the port is read
                    except asyncio.CancelledError:  # a stop: nobody will read again what has been read
                        _take(pipeline, decoder, decoder.feed(data[start:most], at / 1e9), at)
                        raise
                _take(pipeline, decoder, decoder.feed(data[start : start + PIECE], at / 1e9), at)
            due = decoder.due()
            if due is not None and due <= at / 1e9:
                _take(pipeline, decoder, decoder.tick(at / 1e9), at)
                due = decoder.due()
            if len(data) > most:
                # No device can send so much on such a line: something else is at the other end. The rest is not even
                # looked at, and the next look can wait.
                pipeline.take([Fault(FaultKind.OVERRUN, 0, f"{len(data)} bytes at once")], at)
                await asyncio.sleep(1.0)
    finally:
        port.close()


async def _read(port: SerialPort | Prompter, until: float, clock: Clock) -> bytes:
    """Wait for bytes, or until that time; return what came, perhaps nothing. Raises PortError."""
    try:
        async with asyncio.timeout(until - clock.boottime() / 1e9):
            return await port.read()
    except TimeoutError:
        return b""


def _take(pipeline: Pipeline, decoder: TimedDecoder, items: list[Item], at: int) -> None:
    pipeline.remember(decoder.memory())
    pipeline.take(items, at)


class Untimed:
    """Makes a `TimedDecoder` of a decoder that has no use for the time."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def feed(self, data: bytes, at: float) -> list[Item]:  # noqa: ARG002 - as described
        """Take the next bytes and return what they complete."""
        return self._decoder.feed(data)

    def due(self) -> float | None:
        """Nothing is ever due."""
        return None

    def tick(self, at: float) -> list[Item]:  # noqa: ARG002 - as above
        """Nothing comes of time."""
        return []

    def memory(self) -> Mapping[str, float]:
        """Nothing has to survive a restart."""
        return {}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Nothing is remembered."""
