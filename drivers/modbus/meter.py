"""A meter or sensor on Modbus: its profile says what its registers mean."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from drivers.contract import N_, Decoder, Help, Interval, Item, Measurement, Poll
from drivers.modbus import client
from drivers.modbus.frames import data_size
from drivers.modbus.overhear import Overheard
from drivers.modbus.plan import Plan
from drivers.modbus.profile import Profile
from drivers.settings import FIRST_MODBUS_ADDRESS, ModbusAddress

Register = Annotated[
    int | None,
    Interval(ge=0, le=0xFFFF),
    Help(N_("Of a recording without requests: the first register of its replies")),
]

Words = Annotated[
    Literal["high first", "low first"] | None,
    Help(N_("Which register of a 32-bit number comes first, where a device differs from its profile")),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which of the devices on the line."""

    address: ModbusAddress = None
    register: Register = None
    words: Words = None

    def of(self, profile: Profile) -> Profile:
        """Return the profile as it is true for this device."""
        return profile if self.words is None else replace(profile, words=self.words)


class Meter:
    """One meter on the line; a `drivers.contract.Poller`."""

    def __init__(self, profile: Profile, settings: Settings) -> None:
        self._profile = profile = settings.of(profile)
        self._address = settings.address or FIRST_MODBUS_ADDRESS
        self._plans = [(group, Plan(profile, group.first, group.count)) for group in profile.polls()]

    def poll(self) -> Poll:
        """Read all quantities."""
        items: list[Item] = []
        profile = self._profile
        for group, plan in self._plans:
            reply = yield from client.read(
                self._address, profile.function, group.first, group.count, within=profile.within
            )
            items += reply.faults
            if not reply.data:
                break  # others share the line: a meter that does not answer is not asked twice
            items += plan.read(reply.data)
        return items


class MeterMeaning:
    """What a meter's replies mean; a `drivers.modbus.overhear.Meaning`."""

    writes = False

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._plans: dict[tuple[int, int], Plan] = {}
        self.function = profile.function
        self.groups = tuple((group.first, group.count) for group in profile.polls())
        alone = [len(value.registers) for value in profile.values.values()]
        self.sizes = frozenset(data_size(self.function, count) for _, count in [*self.groups, *enumerate(alone)])

    def read(self, first: int, count: int, data: bytes) -> list[Measurement]:
        """Return the values in these registers."""
        if (first, count) not in self._plans:
            if len(self._plans) > len(self.groups):
                self._plans.clear()  # a recording of a scanner asks for anything
            self._plans[first, count] = Plan(self._profile, first, count)
        return self._plans[first, count].read(data)

    def written(self, coil: int, value: int) -> list[Measurement]:
        """Return nothing: a meter is read."""
        del coil, value
        return []


def overhear(profile: Profile, settings: Settings) -> Decoder:
    """Return what reads a recording of a line with this meter."""
    return Overheard(MeterMeaning(settings.of(profile)), settings.address, settings.register)
