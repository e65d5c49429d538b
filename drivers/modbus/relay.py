"""An output of a relay board or a tower lamp on Modbus.

A relay that is switched by wire can be left on by whoever switched it. So it is never believed to be what it was told
to be: it is asked. And where the board can count the time itself, it is told how long, so that it goes off although
nobody is there any more to switch it off.
"""

from dataclasses import dataclass
from typing import Annotated

from drivers.contract import N_, Decoder, Fault, Help, Interval, Item, Measurement, Poll
from drivers.modbus import client
from drivers.modbus.frames import READ_COILS, WRITE_COIL, data_size, request
from drivers.modbus.overhear import Groups, Overheard
from drivers.modbus.plan import is_set
from drivers.modbus.profile import Outputs, Profile
from drivers.settings import FIRST_MODBUS_ADDRESS, LongestOn, ModbusAddress

OFF = 0x0000
RelayNumber = Annotated[int, Interval(ge=1, le=64), Help(N_("Output of the board, counted from 1"))]
FLASHES = 0xF000  # tower lamps: F0xx is on, too, and blinks


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which output of which board, and how long it may be on."""

    address: ModbusAddress = None
    relay: RelayNumber = 1
    longest_on: LongestOn = 180.0


class Relay:
    """One output; a `drivers.contract.BusOutput` and the meaning of what is overheard."""

    function = READ_COILS
    writes = True

    def __init__(self, profile: Profile, outputs: Outputs, settings: Settings) -> None:
        self._outputs = outputs
        self._within = profile.within
        self._address = settings.address or FIRST_MODBUS_ADDRESS
        self._number = settings.relay - 1
        self._coil = outputs.first + self._number
        self.groups: Groups = ((outputs.first, outputs.count),)
        self.sizes = frozenset({data_size(READ_COILS, outputs.count)})

    def look(self) -> Poll:
        """Read all outputs of the board, as one reply tells them, and say what this one is."""
        first, count = self.groups[0]
        reply = yield from client.read(self._address, READ_COILS, first, count, within=self._within)
        return [*reply.faults, *(self.read(first, count, reply.data) if reply.data else ())]

    def switch(self, on: bool, lasting: float) -> Poll:
        """Look, write if it is otherwise, and look again; what was never answered is never written twice."""
        items = yield from self.look()
        known = [item for item in items if isinstance(item, Measurement)]
        if not known or (known[0].value is on and not (on and self._outputs.flash)):
            return items
        coil, value = self._told(on, lasting)
        reply = yield from client.write(self._address, coil, value, within=self._within)
        faults: list[Item] = [item for item in items if isinstance(item, Fault)]
        return [*faults, *reply.faults, *(yield from self.look())]

    def off(self) -> bytes:
        """Return the request that switches it off."""
        return request(self._address, WRITE_COIL, self._coil, OFF)

    def _told(self, on: bool, lasting: float) -> tuple[int, int]:
        """Return the coil that is written, and what."""
        flash = self._outputs.flash
        if not on or flash is None:
            return self._coil, self._outputs.on if on else OFF
        return flash.first + self._number, min(max(1, round(lasting / flash.unit)), flash.most)

    def read(self, first: int, count: int, data: bytes) -> list[Measurement]:
        """Return what a reply says of this output."""
        if self._coil not in range(first, first + count):
            return []
        return [Measurement("on", is_set(data, self._coil - first))]

    def written(self, coil: int, value: int) -> list[Measurement]:
        """Return what this output was told to be, and confirmed."""
        flash = self._outputs.flash
        if flash is not None and coil == flash.first + self._number:
            return [Measurement("on", True)]
        is_state = value in (OFF, self._outputs.on) or value & FLASHES == FLASHES
        if coil != self._coil or not is_state:
            return []  # another output; or a value that toggles, and nobody knows what it is now
        return [Measurement("on", value != OFF)]


def overhear(profile: Profile, outputs: Outputs, settings: Settings) -> Decoder:
    """Return what reads a recording of a line with this board."""
    return Overheard(Relay(profile, outputs, settings), settings.address, None)
