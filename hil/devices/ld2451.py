"""Hi-Link HLK-LD2451 radar beside a road.

Source: Hi-Link, HLK-LD2451 serial communication protocol V1.03: 115200 8N1; report F4 F3 F2 F1, length (2 bytes, low
first), number of targets, alarm, for each target angle + 80h, metres, 1 toward or 0 away, km/h, SNR, then F8 F7 F6 F5;
length 0 without a target. Commands FD FC FB FA, length, command word, data, 04 03 02 01; acknowledged with 01 and a
status behind the command. While it is configured it does not report. Logs of users: a car often gives two reports 20 ms
apart, and some units say nothing at all while the road is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hil.devices.talker import Frame, Talker
from hil.emissions import Said

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from hil.wires.wire import Wire

REACH = 100.0  # metres
KILOMETRE_PER_HOUR = 1 / 3.6  # m/s
STEP = 0.001  # m/s
ENABLE, END = 0xFF, 0xFE  # commands


class Target(NamedTuple):
    """One target as it is on the wire."""

    angle: int  # degrees
    metres: int
    toward: bool
    speed: int  # km/h
    snr: int


def report(targets: Sequence[Target], *, alarm: bool = False) -> bytes:
    """Return the report of these targets."""
    body = bytes((len(targets), alarm)) if targets else b""
    for target in targets:
        body += bytes((target.angle + 0x80, target.metres, target.toward, target.speed, target.snr))
    return b"\xf4\xf3\xf2\xf1" + len(body).to_bytes(2, "little") + body + b"\xf8\xf7\xf6\xf5"


def command(word: int, data: bytes = b"", *, acknowledged: bool = False) -> bytes:
    """Return a command, or its acknowledgement."""
    body = bytes((word, acknowledged)) + data
    return b"\xfd\xfc\xfb\xfa" + len(body).to_bytes(2, "little") + body + b"\x04\x03\x02\x01"


@dataclass
class Vehicle:
    """A vehicle on the road."""

    toward: bool
    metres: float
    speed: float  # km/h


class Ld2451(Talker):
    """A radar on a road with little traffic. What it emits is what a reader of every echo reads.

    `road` are the vehicles in sight; `passed` is how many have gone by. `doubled` sends the second echo of a car as a
    report of its own, and with `silent_when_empty` nothing is said of an empty road.
    """

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        every: float = 0.1,
        between: float = 8.0,
        doubled: bool = False,
        silent_when_empty: bool = False,
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.road: list[Vehicle] = []
        self.passed = 0
        self._between = between
        self._doubled = doubled
        self._silent_when_empty = silent_when_empty
        self._configured = False
        self._next = chance.expovariate(1 / between)
        wire.listen(self._hear)

    def speak(self) -> None:
        """Let the traffic go on; make one report unless the radar is being configured."""
        self._drive()
        if not self._configured:
            super().speak()

    def compose(self) -> list[Frame]:
        """Report the vehicles in sight."""
        targets = [
            Target(self._chance.randint(-4, 4), round(one.metres), one.toward, round(one.speed), 255)
            for one in self.road
        ]
        if not targets and self._silent_when_empty:
            return []
        frames = [self._frame(targets)]
        if targets and self._doubled:
            frames.append(self._frame([one._replace(speed=max(1, one.speed - 2), snr=192) for one in targets]))
        return frames

    def _frame(self, targets: Sequence[Target]) -> Frame:
        alarm = any(target.toward for target in targets)
        said = [Said("targets", len(targets), 1), *([Said("alarm", alarm)] if targets else [])]
        for target in targets:
            signed = target.speed if target.toward else -target.speed
            said += [
                Said("vehicle_speed", signed * KILOMETRE_PER_HOUR, STEP),
                Said("vehicle_toward", target.toward),
                Said("vehicle_distance", target.metres, 1),
                Said("vehicle_angle", target.angle, 1),
                Said("vehicle_snr", target.snr, 1),
            ]
        return Frame(report(targets, alarm=alarm), tuple(said))

    def _drive(self) -> None:
        for vehicle in self.road:
            metres = vehicle.speed * KILOMETRE_PER_HOUR * self._every
            vehicle.metres += -metres if vehicle.toward else metres
        gone = [vehicle for vehicle in self.road if not 2 <= vehicle.metres <= REACH]
        self.passed += len(gone)
        self.road = [vehicle for vehicle in self.road if vehicle not in gone]
        self._next -= self._every
        if self._next <= 0:
            self._next = self._chance.expovariate(1 / self._between)
            toward = self._chance.random() < 0.5
            self.road.append(Vehicle(toward, REACH if toward else 2.0, self._chance.uniform(20, 90)))

    def _hear(self, data: bytes) -> None:
        """Acknowledge a command."""
        if data[:4] != b"\xfd\xfc\xfb\xfa" or len(data) < 12:
            return
        if data[6] in {ENABLE, END}:
            self._configured = data[6] == ENABLE
        self._wire.write(command(data[6], b"\x00\x00", acknowledged=True))
