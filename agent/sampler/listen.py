"""Samples a serial device that speaks unasked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.contract import Fault, FaultKind

if TYPE_CHECKING:
    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock
    from drivers.contract import ListeningDriver, SerialLine, SerialPorts

BITS_A_BYTE = 10  # with start and stop bit
PIECE = 1024  # bytes decoded before the others have their turn
FLOOD = 4.0  # seconds' worth of the line at once: more than any stall of ours explains


async def listen(
    pipeline: Pipeline, driver: ListeningDriver, path: str, line: SerialLine, ports: SerialPorts, clock: Clock
) -> None:
    """Open the port and feed the decoder until the port is lost; raises PortError."""
    port = await ports.open(path, line)
    try:
        decoder = driver.make(pipeline.device.settings)
        most = round(FLOOD * line.baud / BITS_A_BYTE)
        while True:
            data = await port.read()
            at = clock.boottime()
            for start in range(0, min(len(data), most), PIECE):
                pipeline.take(decoder.feed(data[start : start + PIECE]), at)
                try:
                    await asyncio.sleep(0)  # the others want their turn
                except asyncio.CancelledError:  # a stop: nobody will read again what has been read
                    pipeline.take(decoder.feed(data[start + PIECE : most]), at)
                    raise
            if len(data) > most:
                # No device can send so much on such a line: something else is at the other end. The rest is not even
                # looked at, and the next look can wait.
                pipeline.take([Fault(FaultKind.OVERRUN, 0, f"{len(data)} bytes at once")], at)
                await asyncio.sleep(1.0)
    finally:
        port.close()
