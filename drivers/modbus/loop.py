"""A sensor with a 4-20 mA output behind a module of such inputs.

Source of the limits: NAMUR NE 43, as makers of transmitters cite it: 3.8 to 20.5 mA is the measurement, 3.6 mA or less
and 21 mA or more mean a fault.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from struct import unpack_from
from typing import Annotated

from drivers.contract import N_, Decoder, Help, Interval, Measurement, Poll, Reason
from drivers.modbus import client
from drivers.modbus.frames import data_size
from drivers.modbus.meter import Register
from drivers.modbus.mistakes import NAME
from drivers.modbus.overhear import Groups, Overheard
from drivers.modbus.plan import FORMS, WORD, decimals
from drivers.modbus.profile import Channels, Profile
from drivers.quantities import QUANTITIES
from drivers.settings import FIRST_MODBUS_ADDRESS, ModbusAddress

BROKEN = 3.6  # mA
BEYOND = 21.0  # mA
LOWEST, SPAN = 4.0, 16.0  # mA
CURRENT = "loop_current"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which input of which module, and what its 4 and its 20 mA mean."""

    address: ModbusAddress = None
    channel: Annotated[int, Interval(ge=1, le=64), Help(N_("Input of the module, counted from 1"))] = 1
    quantity: Annotated[
        str, Help(N_("What is measured, such as 'water_level'; nothing but the current unless given"))
    ] = CURRENT
    low: Annotated[float, Help(N_("What 4 mA mean, in the unit of the quantity"))] = 0.0
    high: Annotated[float | None, Help(N_("What 20 mA mean, in the unit of the quantity"))] = None
    unit: Annotated[str, Help(N_("Unit of a quantity that the table of quantities does not have"))] = ""
    register: Register = None

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.quantity):
            raise ValueError("quantity: is made of lower-case letters, digits and '_'")
        if self.quantity != CURRENT and self.high is None:
            raise ValueError("high: is missing: it says what 20 mA mean")
        if self.quantity == CURRENT and self.high is not None:
            raise ValueError("quantity: is missing: it says what 4 to 20 mA mean")
        if self.low == self.high:
            raise ValueError("high: cannot be the same as 'low': every value would be the same")


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return the units of the current and of what it means."""
    if settings.high is None:
        return {CURRENT: "mA"}
    known = QUANTITIES.get(settings.quantity)
    return {CURRENT: "mA", settings.quantity: settings.unit if known is None else known.unit}


def judged(settings: Settings, current: float) -> list[Measurement]:
    """Return a current in milliamperes and what it means."""
    measured = [Measurement(CURRENT, current)]
    if settings.high is None:
        return measured
    if current <= BROKEN:
        return [*measured, Measurement(settings.quantity, None, Reason.BROKEN_WIRE)]
    if current >= BEYOND:
        return [*measured, Measurement(settings.quantity, None, Reason.OVER_RANGE)]
    value = settings.low + (current - LOWEST) / SPAN * (settings.high - settings.low)
    return [*measured, Measurement(settings.quantity, float(f"{value:.6g}"))]


class Loop:
    """One input; a `drivers.contract.Poller` and the meaning of what is overheard."""

    writes = False

    def __init__(self, profile: Profile, channels: Channels, settings: Settings) -> None:
        self._channels = channels
        self._settings = settings
        self._address = settings.address or FIRST_MODBUS_ADDRESS
        self._within = profile.within
        self._register = channels.first + settings.channel - 1
        self.function = profile.function
        self.groups: Groups = tuple({(self._register, 1), (channels.first, channels.count)})
        self.sizes = frozenset(data_size(self.function, count) for _, count in self.groups)

    def poll(self) -> Poll:
        """Read the current."""
        reply = yield from client.read(self._address, self.function, self._register, 1, within=self._within)
        return [*reply.faults, *(self.read(self._register, 1, reply.data) if reply.data else ())]

    def read(self, first: int, count: int, data: bytes) -> list[Measurement]:
        """Return what a reply says of this input."""
        if self._register not in range(first, first + count):
            return []
        (number,) = unpack_from(f">{FORMS[self._channels.type]}", data, WORD * (self._register - first))
        digits = max(decimals(self._channels.scale), decimals(self._channels.offset))
        current = round(number * self._channels.scale + self._channels.offset, digits)
        return judged(self._settings, current)

    def written(self, coil: int, value: int) -> list[Measurement]:
        """Return nothing: an input is read."""
        del coil, value
        return []


def overhear(profile: Profile, channels: Channels, settings: Settings) -> Decoder:
    """Return what reads a recording of a line with this module."""
    return Overheard(Loop(profile, channels, settings), settings.address, settings.register)
