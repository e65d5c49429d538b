"""The same as agent/watching.py tells, of a device on a port that no agent holds: for `roadside watch --port`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from agent import recording, watching
from agent.sampler.poll import Bus
from agent.sampler.prompting import prompted
from agent.sampler.sharing import SharedPorts
from drivers.contract import BusOutputDriver, ListeningDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.control import Answers
    from agent.seams import Clock
    from drivers.contract import Item, SerialDriver, SerialLine
    from drivers.seams import SerialPorts


async def watch_port(
    ports: SerialPorts, clock: Clock, *, path: str, line: SerialLine, driver: SerialDriver, settings: object
) -> Answers:
    """Yield what one device says, and what passes on its line; raises PortError."""
    backlog = watching.Backlog()
    shared = SharedPorts(ports, clock)
    units = driver.quantities(settings)
    take = partial(watching.items_of, backlog, driver.name, lambda quantity: units.get(quantity, ""))
    with shared.listening(path, partial(watching.bytes_of, backlog, driver.name)):
        sampling = asyncio.create_task(_sample(shared, clock, path, line, driver, settings, take))
        try:
            yield {
                "devices": {
                    driver.name: {
                        "driver": driver.name,
                        "title": driver.title,
                        "settings": recording.given(settings),
                        "port": path,
                        "line": str(line),
                    }
                },
                "boottime": clock.boottime() / 1e9,
                "utc": clock.utc() / 1e9,
            }
            while True:
                taking = asyncio.ensure_future(backlog.take())
                await asyncio.wait({sampling, taking}, return_when=asyncio.FIRST_COMPLETED)
                if not taking.done():
                    taking.cancel()
                    sampling.result()  # it has ended: this raises why
                yield await taking
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)


async def _sample(
    ports: SerialPorts,
    clock: Clock,
    path: str,
    line: SerialLine,
    driver: SerialDriver,
    settings: object,
    take: Callable[[list[Item], int], None],
) -> NoReturn:
    """Do what a sampler does, but for all that a journal needs; raises PortError."""
    if isinstance(driver, ListeningDriver):
        port = await ports.open(path, line)
        try:
            source = prompted(port, driver.prompt(settings) if driver.prompt else None)
            decoder = driver.make(settings)
            while True:
                take(decoder.feed(await source.read()), clock.boottime())
        finally:
            port.close()
    bus = Bus(ports, path, line, clock)
    try:
        ask = driver.make(settings).look if isinstance(driver, BusOutputDriver) else driver.make(settings).poll
        while True:
            await bus.converse(ask(), take, driver.line)
            await asyncio.sleep(driver.every)
    finally:
        bus.close()
