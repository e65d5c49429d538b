"""Victron devices at their VE.Direct port: a SmartSolar charger and a SmartShunt.

Source: Victron, VE.Direct Protocol 3.33: a block a second, each line CR LF, label, tab, value; the last is "Checksum"
and a byte that makes the sum of the whole block 0. A HEX line is a colon, digits and LF, outside of that sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from hil.wires.wire import Wire

STATES = {"off": 0, "bulk": 3, "absorption": 4, "float": 5}
NO_INPUT_POWER = "0x00000001"
HEX_LINE = b":7E6ED0000007B\n"  # an answer of the HEX protocol, as somebody with VictronConnect causes them


def block(lines: Iterable[tuple[str, str]]) -> bytes:
    """Return the block of these lines."""
    data = b"".join(f"\r\n{label}\t{value}".encode() for label, value in lines) + b"\r\nChecksum\t"
    return data + bytes([-sum(data) & 0xFF])


class Charger(Talker):
    """A solar charger with a load; at `night` the panel gives nothing. `configured`: somebody uses HEX meanwhile."""

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float = 1.0) -> None:
        super().__init__(name, wire, chance, every=every)
        self.night = False
        self.configured = False
        self._battery = Walk(chance, 12_400, 14_400, 20)  # mV
        self._panel = Walk(chance, 17_000, 38_000, 400)  # mV
        self._power = Walk(chance, 5, 140, 4)  # W
        self._load = 400  # mA

    def compose(self) -> list[Frame]:
        """Report one block."""
        battery, panel = round(self._battery.step()), 0 if self.night else round(self._panel.step())
        power = 0 if self.night else round(self._power.step())
        current = round(power * 1e6 / battery) - self._load
        state = "off" if self.night else "bulk"
        lines = [
            ("PID", "0xA053"),
            ("FW", "161"),
            ("SER#", "HQ2129ABCDE"),
            ("V", f"{battery}"),
            ("I", f"{current}"),
            ("VPV", f"{panel}"),
            ("PPV", f"{power}"),
            ("CS", f"{STATES[state]}"),
            ("MPPT", "0" if self.night else "2"),
            ("OR", NO_INPUT_POWER if self.night else "0x00000000"),
            ("ERR", "0"),
            ("LOAD", "ON"),
            ("IL", f"{self._load}"),
            ("H20", "21"),
        ]
        said = (
            Said("battery_voltage", battery / 1000, 0.001),
            Said("battery_current", current / 1000, 0.001),
            Said("pv_voltage", panel / 1000, 0.001),
            Said("pv_power", power, 1),
            Said("load_current", self._load / 1000, 0.001),
            Said("yield_today", 0.21, 0.01),
            Said("charger_error", 0, 1),
        )
        return [Frame(block(lines), said), *([Frame(HEX_LINE)] if self.configured else [])]


class Shunt(Talker):
    """A battery monitor; until it is `synchronised` it knows no charge."""

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float = 1.0) -> None:
        super().__init__(name, wire, chance, every=every)
        self.synchronised = True
        self._battery = Walk(chance, 12_400, 14_400, 20)  # mV
        self._charge = Walk(chance, 300, 1000, 2)  # per mille

    def compose(self) -> list[Frame]:
        """Report the two blocks."""
        battery, charge = round(self._battery.step()), round(self._charge.step())
        known = self.synchronised
        lines = [
            ("PID", "0xA389"),
            ("V", f"{battery}"),
            ("VS", "12650"),
            ("I", "-1500"),
            ("P", f"{round(battery * -1.5 / 1000)}"),
            ("CE", "-10700" if known else "---"),
            ("SOC", f"{charge}" if known else "---"),
            ("TTG", "1440" if known else "---"),
            ("Alarm", "OFF"),
            ("AR", "0"),
        ]
        said = (
            Said("battery_voltage", battery / 1000, 0.001),
            Said("starter_voltage", 12.65, 0.001),
            Said("battery_current", -1.5, 0.001),
            Said("state_of_charge", charge / 10, 0.1) if known else Said("state_of_charge", None, 0, Reason.INVALID),
            Said("consumed_charge", 10.7, 0.001) if known else Said("consumed_charge", None, 0, Reason.INVALID),
            Said("time_to_go", 1440, 1) if known else Said("time_to_go", None, 0, Reason.INVALID),
        )
        history = [("H1", "-55201"), ("H2", "-13024"), ("H17", "11"), ("H18", "13")]
        return [Frame(block(lines), said), Frame(block(history))]
