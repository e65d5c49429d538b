"""Samples serial devices that answer when asked, several of which may share one bus."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.contract import Measurement
from drivers.seams import PortError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock
    from drivers.contract import Answer, Ask, Item, Poll, PollingDriver, SerialLine
    from drivers.seams import SerialPort, SerialPorts

GAP = 3.5  # characters of silence between two telegrams (Modbus over serial line V1.02, section 2.5.1.1)
SHORTEST_GAP = 1.75e-3  # seconds; fixed above 19200 baud (same section)
MISSED_BY_CHANCE = 2  # answers in a row that noise may cost
LONGEST_REST = 60.0  # seconds in which a device that is back goes unheard at most, if it is asked more often than that
MOST_DOUBLINGS = 10  # beyond them any pace has reached the longest rest
LONGEST_ANSWER = 1024  # bytes; a bus that says more to one request is babbling


class Bus:
    """A serial line that its devices take in turns: one poll at a time."""

    def __init__(self, ports: SerialPorts, path: str, line: SerialLine, clock: Clock) -> None:
        self._ports = ports
        self._path = path
        self._line = line
        self._clock = clock
        self._turn = asyncio.Lock()
        self._port: SerialPort | None = None
        self._quiet_since = 0  # boottime in nanoseconds

    async def converse(
        self, conversation: Poll, take: Callable[[list[Item], int], None], made_for: SerialLine | None = None
    ) -> bool:
        """Let one poll have its turn; `take` gets what came of it, and when its last answer came (boottime in ns).

        `made_for` is the line that its times are right for: where ours is slower they are longer. Returns whether
        anything was answered. A request that nobody answers takes its time, and what was read before it
        must not be dated after it. All of a poll is one turn, or its values would be of different times too. Raises
        PortError.
        """
        slower = 1.0 if made_for is None else max(1.0, made_for.baud / self._line.baud)
        async with self._turn:
            answered: int | None = None
            answer: Answer | None = None
            try:
                while True:
                    answer = await self._exchange(conversation.send(answer), slower)
                    if answer is not None:
                        answered = self._clock.boottime()
            except StopIteration as end:
                take(end.value, self._clock.boottime() if answered is None else answered)
                return answered is not None
            except (PortError, asyncio.CancelledError):
                if answered is not None:  # what was read before the line was lost, or the agent stopped, is not lost
                    take(_measured(conversation), answered)
                raise

    async def _exchange(self, ask: Ask, slower: float) -> Answer | None:
        """Send one request and return its answer; None if nothing usable came in time. Raises PortError."""
        try:
            if self._port is None:
                self._port = await self._ports.open(self._path, self._line)
            await self._gap()
            return await self._ask(self._port, ask, ask.within * slower)
        except PortError:
            self.close()
            raise
        finally:
            self._quiet_since = self._clock.boottime()

    async def _ask(self, port: SerialPort, ask: Ask, within: float) -> Answer | None:
        port.flush()  # a late answer to an earlier request is nobody's
        port.write(ask.request)
        heard = b""
        try:
            async with asyncio.timeout(within):
                while len(heard) < LONGEST_ANSWER:
                    heard += await port.read()
                    if (answer := ask.find(heard)) is not None:
                        return answer
        except TimeoutError:
            pass
        return None

    async def _gap(self) -> None:
        line = self._line
        character = (1 + line.bits + (line.parity != "N") + line.stop) / line.baud  # with its start bit; seconds
        gap = max(SHORTEST_GAP, GAP * character)
        rest = gap - (self._clock.boottime() - self._quiet_since) / 1e9
        if rest > 0:
            await asyncio.sleep(rest)

    def close(self) -> None:
        """Give the line back. Harmless to call again."""
        if self._port is not None:
            self._port.close()
            self._port = None


def _measured(conversation: Poll) -> list[Item]:
    """Return the measurements of a poll that gets no more answers."""
    try:
        while True:
            conversation.send(None)
    except StopIteration as end:
        return [item for item in end.value if isinstance(item, Measurement)]


def rest(every: float, missed: int) -> float:
    """Return the seconds until a device is asked again that did not answer so many times in a row.

    Each request that nobody answers costs those that share the bus the whole time that is waited for it. So a device
    that seems to be dead is asked less and less often; when it answers it has its pace again at once.
    """
    doublings = min(max(0, missed - MISSED_BY_CHANCE), MOST_DOUBLINGS)
    return max(every, min(every * (1 << doublings), LONGEST_REST))


async def poll(pipeline: Pipeline, driver: PollingDriver, bus: Bus, every: float, clock: Clock) -> None:
    """Ask the device every so many seconds until the bus is lost; raises PortError."""
    poller = driver.make(pipeline.device.settings)
    missed = 0
    due = clock.boottime()
    while True:
        missed = 0 if await bus.converse(poller.poll(), pipeline.take, driver.line) else missed + 1
        # At a steady pace; what was missed while the bus was busy is not made up for.
        due = max(due + round(rest(every, missed) * 1e9), clock.boottime())
        await asyncio.sleep((due - clock.boottime()) / 1e9)


async def ask_once(pipeline: Pipeline, driver: PollingDriver, bus: Bus) -> None:
    """Ask the device now, between the turns of `poll`; raises PortError."""
    await bus.converse(driver.make(pipeline.device.settings).poll(), pipeline.take, driver.line)
