"""All that an agent meets outside itself, as one thing to be handed in: a real machine, or a simulated one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from agent.config.model import Uplink
    from agent.control import Verb
    from agent.seams import Clock, Crumb, Disk, Notifier, Random
    from agent.uplink.broker import Broker
    from drivers.seams import GpioPorts, SerialPorts, SystemFiles


class World(Protocol):
    """The surroundings of one run of the agent; the loop that it runs in, timers and executor included, is the rest."""

    @property
    def clock(self) -> Clock:
        """The clocks."""
        ...

    @property
    def random(self) -> Random:
        """Chance."""
        ...

    @property
    def manager(self) -> Notifier:
        """Whoever started the agent."""
        ...

    @property
    def release(self) -> str:
        """The release that runs; empty if it is none."""
        ...

    @property
    def crumb(self) -> Crumb:
        """Where to leave behind what the agent is busy with."""
        ...

    @property
    def culprit(self) -> str:
        """The device with which the last agent held itself up until its watchdog ended it; empty if none did."""
        ...

    @property
    def young(self) -> Disk:
        """A folder that outlives the agent, and not the power."""
        ...

    @property
    def card(self) -> Disk:
        """A folder that outlives both."""
        ...

    @property
    def serial(self) -> SerialPorts:
        """The serial ports."""
        ...

    @property
    def files(self) -> SystemFiles:
        """The files in which the system tells of itself."""
        ...

    def gpio(self) -> GpioPorts:
        """Return the GPIO lines; asked for only when a device has a pin."""
        ...

    def broker(self, uplink: Uplink) -> Broker:
        """Return the broker of an uplink."""
        ...

    def control(self, verbs: Mapping[str, Verb]) -> AbstractAsyncContextManager[object]:
        """Answer whoever asks the running agent, while the context lasts."""
        ...

    def close(self) -> None:
        """Give back what is still held."""
        ...
