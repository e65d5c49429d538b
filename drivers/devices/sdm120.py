"""Eastron SDM120 energy meter on RS-485 (Modbus RTU). The SDM220 and SDM230 have the same registers.

Source: Eastron SDM120 Modbus protocol, "input registers"; values are IEEE 754 single precision, high word first.
"""

from dataclasses import dataclass
from math import isfinite
from struct import unpack_from
from typing import NamedTuple

from drivers import modbus
from drivers.contract import N_, Item, Measurement, Poll, PollingDriver, Reason, SerialLine, Wire
from drivers.quantities import always
from drivers.settings import ModbusAddress
from drivers.wiring import A, B

REGISTERS = {  # quantity -> first of its two input registers
    "voltage": 0x0000,
    "current": 0x0006,
    "active_power": 0x000C,
    "power_factor": 0x001E,
    "frequency": 0x0046,
    "energy_import": 0x0048,
}


class Block(NamedTuple):
    """Registers that are read together."""

    first: int
    length: int

    def decode(self, registers: bytes) -> list[Item]:
        """Return the measurements in these registers."""
        return [
            measure(quantity, registers, 2 * (register - self.first))
            for quantity, register in REGISTERS.items()
            if self.first <= register < self.first + self.length
        ]


# Two requests, not one over the gap: the meters answer 60 registers at most, and some adapters cut long replies. The
# lengths differ, so that a late reply to the one cannot be taken for a reply to the other.
BLOCKS = (Block(0x0000, 0x20), Block(0x0046, 4))
# Seconds. 8 bytes there and 69 back take 0.32 s at 2400 Bd; the meter thinks for up to 0.2 s.
WITHIN = 1.0


def measure(quantity: str, registers: bytes, position: int) -> Measurement:
    """Return one value; seven digits are all that single precision has."""
    (value,) = unpack_from(">f", registers, position)
    if not isfinite(value):
        return Measurement(quantity, None, Reason.INVALID)
    return Measurement(quantity, float(f"{value:.7g}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which of the meters on the line."""

    address: ModbusAddress = 1


@dataclass(frozen=True, slots=True)
class Sdm120:
    """One meter on the line; a `drivers.contract.Poller`."""

    settings: Settings

    def poll(self) -> Poll:
        """Read all quantities."""
        items: list[Item] = []
        for block in BLOCKS:
            reply = yield from modbus.read(self.settings.address, *block, within=WITHIN)
            items += reply.faults
            if not reply.registers:
                break  # others share the line: a meter that does not answer is not asked twice
            items += block.decode(reply.registers)
        return items


DRIVER = PollingDriver(
    name="sdm120",
    title="Eastron SDM120, SDM220, SDM230",
    settings=Settings,
    quantities=always(*REGISTERS),
    line=SerialLine(2400),
    every=10.0,
    make=Sdm120,
    wiring=(
        Wire(N_("A"), A),
        Wire(N_("B"), B),
    ),
    notes=(N_("120 ohms between A and B at both ends of the line"),),
    source="Eastron SDM120 Modbus protocol implementation, input registers",
)
