"""Serial ports and pins with simulated devices behind them, which write down what they let the agent see."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drivers.seams import PortError, PortFault
from hil.devices import a02yyuw, modbus, plantower
from tests.simulation.truth import Tip
from tests.simulation.universe import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.contract import SerialLine
    from tests.simulation.clock import SimulatedClock
    from tests.simulation.truth import Measured, Truth
    from tests.simulation.universe import Universe

Said = tuple[str, float]  # quantity and value


# --- serial ----------------------------------------------------------------------------------------------------------


class SimulatedPort:
    """Implements `drivers.seams.SerialPort`."""

    def __init__(self, socket: Socket, clock: SimulatedClock) -> None:
        self._socket = socket
        self._clock = clock
        self._came: deque[tuple[bytes, Sequence[Said]]] = deque()
        self._wake = asyncio.Event()
        self._taken: list[Measured] = []  # given to the agent by the last read
        self._unplugged = False

    async def read(self) -> bytes:
        """Wait for bytes. Whoever reads again has taken what came before."""
        self._be_sure()
        while not self._came:
            if self._unplugged:
                raise PortError(PortFault.UNPLUGGED, self._socket.path)
            self._wake.clear()
            await self._wake.wait()
        data = b""
        while self._came:
            piece, said = self._came.popleft()
            data += piece
            self._taken += [self._socket.note(self._clock, *one) for one in said]
            if self._socket.given is not None:  # it knows better when this is taken
                for one in self._taken:
                    self._socket.given(one)
                self._taken.clear()
        return data

    def write(self, data: bytes) -> None:
        """Ask the device; a new request says that the answers to the last one were taken."""
        if self._unplugged:
            raise PortError(PortFault.UNPLUGGED, self._socket.path)
        if self._socket.asked is not None:
            self._socket.asked(data)

    def flush(self) -> None:
        """Throw away what came in."""
        self._came.clear()

    def close(self) -> None:
        """Give the line back."""
        if self._socket.port is self:
            self._socket.port = None

    def deliver(self, data: bytes, said: Sequence[Said]) -> None:
        """Bytes come in."""
        self._came.append((data, said))
        self._wake.set()

    def unplug(self) -> None:
        """The line is gone."""
        self._unplugged = True
        self._came.clear()
        self._wake.set()
        self.close()

    def _be_sure(self) -> None:
        for one in self._taken:
            one.sure = True
        self._taken.clear()


@dataclass
class Socket:
    """Where a serial line is plugged in."""

    path: str
    device: str
    truth: Truth
    port: SimulatedPort | None = None
    there: bool = True
    asked: Callable[[bytes], None] | None = None  # by a device that answers: hears each request
    given: Callable[[Measured], None] | None = None  # and is told what of its answers was read

    def note(self, clock: SimulatedClock, quantity: str, value: float) -> Measured:
        """Write down what the agent is given."""
        return self.truth.note(clock, self.device, quantity, value)

    def say(self, data: bytes, said: Sequence[Said]) -> None:
        """The device says something; nobody may listen."""
        if self.port is not None:
            self.port.deliver(data, said)

    def unplug(self) -> None:
        """Take the line away."""
        self.there = False
        if self.port is not None:
            self.port.unplug()


@dataclass
class SimulatedSerial:
    """Implements `drivers.seams.SerialPorts`."""

    sockets: dict[str, Socket]
    clock: SimulatedClock

    async def open(self, path: str, line: SerialLine) -> SimulatedPort:
        """Open a port; raises PortError."""
        assert line.baud
        socket = self.sockets[path]
        if not socket.there:
            raise PortError(PortFault.MISSING, path)
        socket.port = SimulatedPort(socket, self.clock)
        return socket.port


class Talker:
    """A device that speaks unasked; its values tell one frame from the next."""

    def __init__(self, universe: Universe, socket: Socket, every: float) -> None:
        self.quiet = False
        self._universe = universe
        self._socket = socket
        self._every = every
        self._chance = universe.chance(socket.device)
        self._count = 0
        self._speak()

    def _speak(self) -> None:
        self._universe.after(self._every * self._chance.uniform(0.5, 1.5), self._speak)
        if self.quiet:
            return
        self._count += 1
        data, said = self.compose(self._count)
        if self._chance.random() < 0.02:  # a garbled frame is no reading
            self._socket.say(bytes([data[0], data[1] ^ 0x10]) + data[2:], ())
            return
        self._socket.say(data, said)

    def compose(self, count: int) -> tuple[bytes, Sequence[Said]]:
        """Return the frame and what is in it."""
        raise NotImplementedError


class Air(Talker):
    """A particle sensor, of the kind that counts none."""

    def compose(self, count: int) -> tuple[bytes, Sequence[Said]]:
        """Return three values."""
        values = [count % 60_000 + 1, (count + 7) % 60_000 + 1, (count + 13) % 60_000 + 1]
        return plantower.packed([0, 0, 0, *values, *[1] * 3]), list(zip(("pm1", "pm2_5", "pm10"), values, strict=True))


class Water(Talker):
    """A water level sensor 5 m above the zero of its gauge."""

    def compose(self, count: int) -> tuple[bytes, Sequence[Said]]:
        """Return a level that goes up and down."""
        millimetres = 500 + abs((count * 37) % 7000 - 3500)
        return a02yyuw.frame(millimetres), [("water_level", round(5.0 - millimetres * 0.001, 3))]


QUANTITIES = {
    0x0000: "voltage",
    0x0006: "current",
    0x000C: "active_power",
    0x0012: "apparent_power",
    0x0018: "reactive_power",
    0x001E: "power_factor",
    0x0046: "frequency",
    0x0048: "energy_import",
    0x004A: "energy_export",
    0x004C: "reactive_energy_import",
    0x004E: "reactive_energy_export",
}


class Meter:
    """A meter at address 1, which answers two requests a poll or none."""

    def __init__(self, universe: Universe, socket: Socket) -> None:
        self.quiet = False
        self._universe = universe
        self._socket = socket
        self._chance = universe.chance(socket.device)
        self._count = 0
        self._taken: list[Measured] = []
        socket.asked = self._asked
        socket.given = self._note

    def _asked(self, request: bytes) -> None:
        _, _, first, length = struct.unpack(">BBHH", request[:6])
        if first == 0:
            for one in self._taken:
                one.sure = True
            self._taken = []
            self._count += 1
        if self.quiet:
            return
        body, said = b"", []
        for register in range(first, first + length, 2):
            value = float(self._count + register) if register in QUANTITIES else 0.0
            body += struct.pack(">f", value)
            if register in QUANTITIES:
                said.append((QUANTITIES[register], value))
        frame = bytes([1, 4, len(body)]) + body
        answer = frame + modbus.crc(frame)
        port = self._socket.port
        delay = self._chance.uniform(0.05, 0.4)
        self._universe.within_life(delay, lambda: self._socket.port is port and self._socket.say(answer, said))

    def forget(self) -> None:
        """The agent that was being answered is gone: nobody knows whether it took it."""
        self._taken = []

    def _note(self, one: Measured) -> None:
        """Remember what was read of the present poll: its values are of the moment of its last answer."""
        for other in self._taken:
            other.boottime, other.now = one.boottime, one.now
        self._taken.append(one)


# --- pins ------------------------------------------------------------------------------------------------------------


class SimulatedInput:
    """Implements `drivers.seams.InputLine`."""

    def __init__(self, contact: Contact, clock: SimulatedClock) -> None:
        self._contact = contact
        self._clock = clock
        self._settled = clock.boottime() / 1e9 + contact.hold  # an edge before that may belong to how it was found
        self._edges: deque[tuple[float, bool]] = deque()
        self._wake = asyncio.Event()
        self._given: list[tuple[float, Measured | Tip]] = []  # when it will have lasted, and what that is

    async def wait(self, until: float | None) -> list[tuple[float, bool]]:
        """Wait for edges; whoever waits again has taken what had lasted by then."""
        now = self._clock.boottime() / 1e9
        for _, one in [given for given in self._given if given[0] <= now]:
            one.sure = True
        self._given = [given for given in self._given if given[0] > now]
        if not self._edges:
            self._wake.clear()
            wait = None if until is None else max(0.0, until - now)
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                return []
        edges = list(self._edges)
        self._edges.clear()
        for at, active in edges:
            if active:
                given = self._contact.seen(self._clock, at)
                if given is not None and at >= self._settled:
                    self._given.append((at + self._contact.hold, given))
        return edges

    def active(self) -> bool:
        """Return the level now."""
        return self._contact.active

    def dropped(self) -> int:
        """Return that no edge was lost."""
        return 0

    def close(self) -> None:
        """Give the line back."""
        if self._contact.line is self:
            self._contact.line = None

    def deliver(self, active: bool) -> None:
        """An edge comes in."""
        self._edges.append((self._clock.boottime() / 1e9, active))
        self._wake.set()


class Contact:
    """A contact that closes now and then, for long enough."""

    def __init__(
        self, universe: Universe, truth: Truth, device: str, *, every: float, lasts: tuple[float, float], hold: float
    ) -> None:
        self.active = False
        self.line: SimulatedInput | None = None
        self.device = device
        self.hold = hold
        self.quiet = False
        self._universe = universe
        self._truth = truth
        self._every = every
        self._lasts = lasts
        self._chance = universe.chance(device)
        universe.after(self._chance.expovariate(1 / every), self._close)

    def _close(self) -> None:
        lasts = self._chance.uniform(*self._lasts)
        self._universe.after(lasts + 1.0 + self._chance.expovariate(1 / self._every), self._close)
        if self.quiet:
            return
        self._set(True)
        self._universe.after(lasts, lambda: self._set(False))

    def _set(self, active: bool) -> None:
        self.active = active
        if self.line is not None:
            self.line.deliver(active)

    def seen(self, clock: SimulatedClock, at: float) -> Measured | Tip | None:
        """Note that the agent is told of a closure."""
        raise NotImplementedError


class Button(Contact):
    """A panic button."""

    def seen(self, clock: SimulatedClock, at: float) -> Measured:
        """Note a press."""
        one = self._truth.note(clock, self.device, "pressed", value=True)
        one.boottime = round(at * SECOND)
        return one


class RainGauge(Contact):
    """A tipping bucket."""

    def seen(self, clock: SimulatedClock, at: float) -> Tip:
        """Note a tip."""
        assert clock
        tip = Tip(round(at * SECOND), self._truth.power, self._universe.now)
        self._truth.tips.append(tip)
        return tip


@dataclass
class SimulatedGpio:
    """Implements `drivers.seams.GpioPorts` for inputs."""

    contacts: dict[int, Contact]
    clock: SimulatedClock
    opened: list[int] = field(default_factory=list)

    def input(self, pin: int, *, pull: str, active: str) -> SimulatedInput:
        """Claim a pin."""
        assert pull
        assert active
        contact = self.contacts[pin]
        contact.line = SimulatedInput(contact, self.clock)
        return contact.line

    def output(self, pin: int, *, active: str, initial: bool) -> SimulatedOutput:
        """Claim a pin as an output that nobody looks at."""
        assert active
        self.opened.append(pin)
        return SimulatedOutput(initial)


@dataclass
class SimulatedOutput:
    """Implements `drivers.seams.OutputLine`."""

    level: bool

    def write(self, active: bool) -> None:
        """Drive the level."""
        self.level = active

    def close(self) -> None:
        """Give the line back."""
