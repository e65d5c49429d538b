"""Probes one port: listens at the usual speeds, then asks, then looks for Modbus devices at every address."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple

from agent.i18n import _
from agent.probing import evidence, meters
from agent.probing.evidence import Match, Sureness
from agent.probing.questions import PRESENCE, QUESTIONS, modbus_lines
from agent.sampler.poll import Bus
from drivers import registry
from drivers.contract import Ask, SerialDriver, SerialLine
from drivers.modbus import client
from drivers.modbus.frames import FIXED_SIZE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from agent.probing.questions import Question
    from agent.seams import Clock
    from drivers.contract import Poll
    from drivers.seams import SerialPort, SerialPorts

SPEEDS = (9600, 115_200, 19_200, 38_400, 4800)  # of what speaks unasked, the usual ones first
LISTEN = 2.6  # seconds; what speaks unasked does so every second, a PMS5003 in still air every 2.3
LOOK_EVERY = 0.4  # seconds between two judgements of what was heard
AGAIN = 2  # times that a question is asked once more when it was answered, to be surer
NOISE = 64  # bytes at one speed that a line without a terminator may bring by itself
KEPT = 8192  # bytes
FIRST_ADDRESSES = range(1, 17)  # where makers and technicians put devices: looked at with every line setting first
THINKS = 0.15  # seconds that a device may take before it answers
BITS_A_BYTE = 11
ANSWER_SIZE = 9  # bytes of the longest answer that shows presence


class OnBus(NamedTuple):
    """A Modbus device."""

    address: int
    matches: list[Match]  # profiles that fit, the surest first; none if nobody knows it


@dataclass
class Found:
    """What was found out about a port."""

    line: SerialLine | None = None  # at which something was understood; None: nothing was
    matches: list[Match] = field(default_factory=list)
    devices: list[OnBus] = field(default_factory=list)
    heard: dict[SerialLine, bytes] = field(default_factory=dict)  # that nobody understood
    is_busy: bool = False  # somebody else asks Modbus devices on the line
    complete: bool = True  # False: it was ended before all had been tried

    @property
    def anything(self) -> bool:
        """Whether it is known, or may be known, what is there."""
        return bool(self.matches or self.devices)


class Prober:
    """Probes one port; `found` says what is known so far, also when it is cancelled."""

    def __init__(
        self,
        ports: SerialPorts,
        path: str,
        clock: Clock,
        *,
        lines: Sequence[SerialLine] | None,
        addresses: Sequence[int],
        has_speed: bool,
        listen_only: bool,
        listen: float = LISTEN,
        progress: Callable[[str, float], None],
    ) -> None:
        """Take the line settings to try, if not the usual ones; `listen` is for how many seconds at each of them.

        `progress` is told what is being done, and the share that is done.
        """
        self.found = Found(complete=False)
        self._ports = ports
        self._path = path
        self._clock = clock
        self._lines = lines
        self._addresses = addresses
        self._has_speed = has_speed  # a pseudo-terminal has none: it is tried once
        self._listen_only = listen_only
        self._seconds = listen
        self._progress = progress

    async def run(self) -> None:
        """Probe; raises PortError."""
        await self._listen()
        if not self._listen_only and not self._is_occupied():
            if not self.found.matches:
                await self._ask()
            if not self.found.matches:
                await self._scan()
        self.found.complete = True

    def _tried(self, lines: Sequence[SerialLine]) -> Sequence[SerialLine]:
        lines = lines if self._lines is None else self._lines
        return lines if self._has_speed else lines[:1]

    def _is_occupied(self) -> bool:
        """Tell whether something speaks that nobody knows, or somebody else asks: then we are silent."""
        return self.found.is_busy or any(len(data) > NOISE for data in self.found.heard.values())

    # --- listening ---

    async def _listen(self) -> None:
        lines = self._tried([SerialLine(speed) for speed in SPEEDS])
        for index, line in enumerate(lines):
            self._progress(_("listening at {line}").format(line=line), index / len(lines))
            port = await self._ports.open(self._path, line)
            try:
                data = await self._hear(port)
                found = evidence.matches(data)
                if found and _is_unclear(found) and not self._listen_only:
                    found = await self._ask_which(port, found)
            finally:
                port.close()
            if found and found[0].sureness > Sureness.MAYBE:
                self._take(found, line)
                return
            if found and (not self.found.matches or found[0].bits > self.found.matches[0].bits):
                self._take(found, line)  # the best guess so far
            if evidence.is_modbus_traffic(data):
                self.found = Found(line, is_busy=True, complete=False)
                return
            if data:
                self.found.heard[line] = data

    async def _hear(self, port: SerialPort) -> bytes:
        """Return what comes within some seconds, or until it is sure what it is."""
        data = b""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        while loop.time() < end:
            before = len(data)
            data = (data + await _read(port, min(LOOK_EVERY, end - loop.time())))[-KEPT:]
            if len(data) > before:
                found = evidence.matches(data)
                if found and found[0].sureness is Sureness.SURE and not _is_unclear(found):
                    break
        return data

    async def _ask_which(self, port: SerialPort, found: list[Match]) -> list[Match]:
        """Ask those of the candidates that can be asked; one that answers is it."""
        for question in QUESTIONS:
            asked = [match for match in found if match.driver in question.drivers]
            if not asked or question.after:
                continue
            data = await _answer(port, question)
            others = max((_frames(match.driver, data) for match in found if match not in asked), default=0)
            for match in asked:  # it understands more of what then came than those that speak unasked, or it is none
                more = _frames(match.driver, data)
                rest = [one for one in found if one is not match]
                if more > others:
                    surer = match._replace(frames=match.frames + more, sureness=Sureness.SURE)
                    found = [surer, *map(_at_most_likely, rest)]
                elif rest:
                    found = [*rest, _at_most_likely(match)]
        return found

    def _take(self, found: list[Match], line: SerialLine) -> None:
        self.found.matches = found
        self.found.line = line if self._has_speed else _line_of(found[0].driver)

    # --- asking ---

    async def _ask(self) -> None:
        """Ask each question at the speed of its device, until one is answered."""
        answer = b""
        for index, question in enumerate(QUESTIONS):
            self._progress(_("asking"), index / len(QUESTIONS))
            if question.after and question.after not in answer:
                continue
            for line in self._tried(list(dict.fromkeys(map(_line_of, question.drivers)))):
                port = await self._ports.open(self._path, line)
                try:
                    answer = await _answer(port, question)
                    if answer:
                        answer += b"".join([await _answer(port, question) for _again in range(AGAIN)])
                finally:
                    port.close()
                if any(evidence.match_of(name, answer, question.sign) for name in question.drivers):
                    self._take([_with_given(match, question) for match in _answered(question, answer)], line)
                    return

    # --- Modbus ---

    async def _scan(self) -> None:
        """Look for Modbus devices: at the first addresses with each line setting, then at the others."""
        lines = self._tried(modbus_lines())
        early = [address for address in self._addresses if address in FIRST_ADDRESSES]
        late = [address for address in self._addresses if address not in FIRST_ADDRESSES]
        total, done = max(1, len(lines) * len(self._addresses)), 0
        for line, addresses in [(line, addresses) for addresses in (early, late) for line in lines if addresses]:
            if self.found.line in (None, line):  # a bus has one setting
                async for address in self._present(line, addresses):
                    self._progress(
                        _("Modbus at {line}, address {address}").format(line=line, address=address),
                        (done + addresses.index(address)) / total,
                    )
            done += len(addresses)
        if self.found.line is None:
            return
        bus = Bus(self._ports, self._path, self.found.line, self._clock)
        try:
            for index, device in enumerate(self.found.devices):
                self._progress(
                    _("recognising address {address}").format(address=device.address), index / len(self.found.devices)
                )
                matches = await meters.matches(bus, device.address, self.found.line if self._has_speed else None)
                self.found.devices[index] = device._replace(matches=matches)
        finally:
            bus.close()
        known = [device.matches[0].driver for device in self.found.devices if device.matches]
        if known and not self._has_speed:
            self.found.line = _line_of(known[0])

    async def _present(self, line: SerialLine, addresses: Sequence[int]) -> AsyncIterator[int]:
        """Ask at each address, yield each, and note where something answers."""
        within = THINKS + (FIXED_SIZE + ANSWER_SIZE) * BITS_A_BYTE / line.baud
        bus = Bus(self._ports, self._path, line, self._clock)
        try:
            for address in addresses:
                yield address
                for read in PRESENCE if address in FIRST_ADDRESSES else PRESENCE[:1]:
                    if await bus.converse(_once(address, *read, within), lambda _items, _at: None):
                        self.found.line = line
                        self.found.devices.append(OnBus(address, []))
                        break
        finally:
            bus.close()


def _is_unclear(found: list[Match]) -> bool:
    """Tell whether another driver understands as much of it."""
    return any(match.frames >= found[0].frames for match in found[1:])


def _at_most_likely(match: Match) -> Match:
    return match._replace(sureness=min(match.sureness, Sureness.LIKELY))


def _answered(question: Question, answer: bytes) -> list[Match]:
    """Return how well an answer fits those who may have given it; without settings not all of them can be read."""
    found = [
        evidence.match_of(name, answer, question.sign) or Match(name, Sureness.MAYBE, 0, 0, 0.0)
        for name in question.drivers
    ]
    return sorted(found, key=lambda match: (-match.sureness, -match.bits))


def _frames(name: str, data: bytes) -> int:
    match = evidence.match_of(name, data)
    return match.frames if match else 0


def _with_given(match: Match, question: Question) -> Match:
    """Return a match with the settings that its device needs because it only answers."""
    known = {each.name for each in fields(registry.load(match.driver).settings)}
    return match._replace(given={key: value for key, value in question.given.items() if key in known})


def _line_of(name: str) -> SerialLine:
    driver = registry.load(name)
    assert isinstance(driver, SerialDriver)  # noqa: S101 - nothing else is a candidate
    return driver.line


def _once(address: int, function: int, first: int, count: int, within: float) -> Poll:
    """Read once, whatever comes of it."""
    request = client.Request.reading(address, function, first, count)
    answer = yield Ask(request.frame, request.find, within)
    return [] if answer is None else list(answer.faults)


async def _read(port: SerialPort, seconds: float) -> bytes:
    """Return what comes within that time; raises PortError."""
    data = b""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            while len(data) < KEPT:
                data += await port.read()
    except TimeoutError:
        pass
    return data


async def _answer(port: SerialPort, question: Question) -> bytes:
    """Ask, and return what comes until it is an answer or the time is over; raises PortError."""
    port.flush()
    port.write(question.data)
    data = b""
    loop = asyncio.get_running_loop()
    end = loop.time() + question.within
    while (left := end - loop.time()) > 0:
        data += await _read(port, min(LOOK_EVERY, left))
        if any(evidence.match_of(name, data, question.sign) for name in question.drivers):
            break
    return data
