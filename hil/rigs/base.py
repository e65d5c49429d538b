"""The verbs of a rig: what a test may do to a gateway, and what it sees of it, the same on every kind of rig.

Whatever touches the gateway is awaited; what has arrived at the city is here already, and is only looked at. What a rig
cannot do it says beforehand, by capability and with the reason (`Rig.lacks`), so that a test that needs it is skipped.
"""

from __future__ import annotations

import abc
import asyncio
import functools
import inspect
import json
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from hil.audit import Account
    from hil.rigs.arrivals import Arrivals
    from hil.rigs.description import Description
    from hil.rigs.timeline import Timeline

LOOKED_AT_EVERY = 0.02  # seconds

Verb = TypeVar("Verb", bound="Callable[..., Coroutine[Any, Any, Any]]")


class Capability(StrEnum):
    """What a test can need of a rig."""

    SERIAL = "serial"  # devices on serial lines
    GPIO = "gpio"  # contacts and outputs on pins
    LINK = "link"  # the way to the broker can be disturbed
    POWER = "power"  # can be cut
    CLOCK = "clock"  # time servers can come and go
    CLOCK_STEP = "clock_step"  # the wall clock can be set
    DISK = "disk"  # the card can be full or read-only
    AGENT = "agent"  # the agent can be killed, hung and restarted
    ACCOUNT = "account"  # everything that was emitted can be accounted for


class RigError(Exception):
    """A rig that cannot be built or cannot do what was asked; the message says what to do."""


class Device(Protocol):
    """A device as a test handles it, on whatever it hangs."""

    async def says(self, data: bytes, **values: float | str | bool) -> None:
        """Put bytes on its line, beside what it says by itself; `values` are what a right reader makes of them."""
        ...

    async def goes_silent(self) -> None:
        """Say nothing any more, and answer nothing."""
        ...

    async def garble(self, how: str) -> None:
        """Speak wrongly from now on: `how` is an ailment of its model, such as `checksum`, `garbage` or `wedged`."""
        ...

    async def recovers(self) -> None:
        """Speak as ever again."""
        ...

    async def becomes(self, **properties: float | str | bool | None) -> None:
        """Change what the device measures or is, such as `echo=False` over smooth water."""
        ...

    async def unplug(self) -> None:
        """Pull its plug."""
        ...

    async def replug(self) -> None:
        """Put its plug back in."""
        ...


class Pin(Protocol):
    """A pin of the gateway, from the side of what hangs on it."""

    async def press(self, seconds: float = 0.3) -> None:
        """Close the contact for so long; it bounces as contacts do."""
        ...

    async def hold(self) -> None:
        """Close the contact, and keep it closed."""
        ...

    async def release(self) -> None:
        """Open the contact."""
        ...

    async def pulses(self, number: int, hertz: float) -> None:
        """Close and open the contact so many times at a steady rate."""
        ...

    async def reads(self) -> bool:
        """Return the level of an output as what hangs on it sees it; False while nobody drives it."""
        ...


class Link(Protocol):
    """The way between the gateway and the broker."""

    async def cut(self) -> None:
        """Break all connections; new ones are refused."""
        ...

    async def hang(self) -> None:
        """Pass nothing on any more, and tell nobody."""
        ...

    async def slow(self, bytes_per_second: float, delay: float = 0.0) -> None:
        """Pass no more than so much in either direction, and each piece so many seconds late."""
        ...

    async def refuse(self) -> None:
        """Break all connections; take new ones, and break each at once."""
        ...

    async def tear(self, after: int) -> None:
        """Let so many more bytes go up, then break the connection: most likely in the middle of a message."""
        ...

    async def restore(self) -> None:
        """Work again."""
        ...


class Power(Protocol):
    """The gateway's supply. `cuts` are the moments (seconds since 1970) at which it went."""

    cuts: list[float]

    async def cut(self) -> None:
        """Take the power away. Nothing is stopped in order."""
        ...

    async def restore(self) -> None:
        """Give the power back, and wait until the agent is ready."""
        ...


class Clock(Protocol):
    """The gateway's wall clock and whether it is known to be right."""

    async def unsync(self) -> None:
        """Let no time server be heard, from now on or from the next start on."""
        ...

    async def sync(self) -> None:
        """Let a time server set the clock right."""
        ...

    async def step(self, seconds: float) -> None:
        """Set the wall clock wrong by so much, all in all."""
        ...


class Disk(Protocol):
    """The card that the agent keeps its journal on."""

    async def fill(self) -> None:
        """Fill it up."""
        ...

    async def empty(self) -> None:
        """Take away what filled it."""
        ...

    async def read_only(self) -> None:
        """Let it take no more writes; needs the power to be off."""
        ...

    async def writable(self) -> None:
        """Let it take writes again; needs the power to be off."""
        ...


class Agent(Protocol):
    """The agent as a process under a service manager, which starts it again when it has died."""

    async def kill(self) -> None:
        """Send SIGKILL, and wait until the next run is ready."""
        ...

    async def hang(self) -> None:
        """Stop it from running at all, and wait until the watchdog has made an end of it and the next run is ready."""
        ...

    async def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop it in order, and start it again, with other settings if there are any."""
        ...

    async def stop(self) -> None:
        """Stop it in order; raises AssertionError if it does not end in time or not with exit status 0."""
        ...

    async def gets(self, path: str, data: bytes) -> None:
        """Put a file where the agent finds it, such as `/etc/roadside/ca.pem`."""
        ...

    async def says(self) -> str:
        """Return its log, of all its runs."""
        ...


class Rig(abc.ABC):
    """A gateway with everything around it. Use it as an asynchronous context manager.

    `gateway` is the id under which the agent runs; `patience` is how many seconds a test waits for what it expects.
    """

    link: Link
    power: Power
    clock: Clock
    disk: Disk
    agent: Agent
    city: Arrivals

    def __init__(self, description: Description, timeline: Timeline, *, patience: float) -> None:
        self.description = description
        self.timeline = timeline
        self.patience = patience
        self.gateway = description.rig.gateway

    @classmethod
    def why_not(cls) -> str:
        """Return why there can be no such rig on this machine; empty if there can."""
        return ""

    @classmethod
    @abc.abstractmethod
    def lacks(cls, description: Description) -> Mapping[Capability, str]:
        """Return what such a rig cannot do on this machine, with the reason that a person is told."""

    @abc.abstractmethod
    async def __aenter__(self) -> Self:
        """Bring everything to life, and wait until the agent is ready."""

    @abc.abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let everything go, whatever state it is in."""

    @abc.abstractmethod
    def device(self, name: str) -> Device:
        """Return a device by its name; raises RigError if the rig has none of that name."""

    @abc.abstractmethod
    def pin(self, name: str) -> Pin:
        """Return what hangs on a pin by its name; raises RigError if the rig has none of that name."""

    @abc.abstractmethod
    def account(self) -> Account:
        """Account for everything that the devices have emitted so far."""

    @abc.abstractmethod
    async def quiet(self) -> None:
        """Let the devices fall silent, for good, and wait until all that they said has been read."""

    async def until(self, condition: Callable[[], object], within: float | None = None) -> None:
        """Wait for a condition; raises AssertionError, which says what the agent said last."""
        deadline = time.monotonic() + (self.patience if within is None else within)
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(await self._never(condition))
            await asyncio.sleep(LOOKED_AT_EVERY)

    async def until_log(self, text: str, times: int = 1) -> None:
        """Wait until the agent's log has said this so many times."""
        deadline = time.monotonic() + self.patience
        while (said := await self.agent.says()).count(text) < times:
            if time.monotonic() > deadline:
                raise AssertionError(f"the agent's log does not say {text!r} {times} times:\n{said[-3000:]}")
            await asyncio.sleep(LOOKED_AT_EVERY)

    async def _never(self, condition: Callable[[], object]) -> str:
        last = "\n".join((await self.agent.says()).splitlines()[-20:])
        told = "\n".join(f"{kind}: {json.dumps(said)[:2000]}" for kind, said in self.city.told.items())
        wanted = inspect.getsource(condition).strip()
        return f"{wanted}\nis never so.\nThe agent's log:\n{last}\nThe city was told:\n{told}"


class Part:
    """A part of a rig whose verbs leave their mark on the timeline under a name."""

    def __init__(self, name: str, timeline: Timeline) -> None:
        self.name = name
        self.timeline = timeline


def step(verb: Verb) -> Verb:
    """Have a verb of a part of a rig put on the timeline, from its beginning to its end."""

    @functools.wraps(verb)
    async def done(part: Part, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of any verb
        with part.timeline.step(f"{part.name}.{verb.__name__}({_said(args, more)})"):
            return await verb(part, *args, **more)

    return cast("Verb", done)


def _said(args: Sequence[Any], more: Mapping[str, Any]) -> str:
    return ", ".join([*(f"{one!r}"[:40] for one in args), *(f"{name}={value!r}"[:40] for name, value in more.items())])
