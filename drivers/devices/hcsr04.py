"""HC-SR04 and its kin: an ultrasonic sensor with a trigger and an echo pin.

A pulse of 10 us on the trigger sends sound; the echo pin is high for as long as that was on its way, there and back.
Source: ElecFreaks, HC-SR04 user guide: 2 cm to 4 m, 38 ms if nothing came back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from drivers import water
from drivers.contract import N_, Help, Interval, Item, RangingDriver, Reason, Wire
from drivers.settings import Pin
from drivers.wiring import GND, V5

NEAREST, FURTHEST = 0.02, 4.0  # metres
SOUND_AT_0, SOUND_PER_DEGREE = 331.3, 0.606  # m/s in dry air, and how much faster each degree makes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the sensor is, and how warm the air is in which it measures."""

    trigger: Pin
    echo: Pin
    mount_height: water.MountHeight = None
    temperature: Annotated[
        float,
        Interval(ge=-40, le=60),
        Help(N_("Usual temperature of the air: 10 degrees make 1.8 % of the distance"), unit="Cel"),
    ] = 28.0


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return the level if the height of the sensor is known, else the distance."""
    return water.quantities(settings.mount_height)


class Hcsr04:
    """One sensor; a `Ranger`."""

    def __init__(self, settings: Settings) -> None:
        self._mount_height = settings.mount_height
        self._sound = SOUND_AT_0 + SOUND_PER_DEGREE * settings.temperature

    def take(self, echo: float | Reason) -> list[Item]:
        """Take how long the echo's pulse lasted."""
        return [water.measure(self._mount_height, echo if isinstance(echo, Reason) else self._distance(echo))]

    def _distance(self, seconds: float) -> float | Reason:
        metres = seconds * self._sound / 2
        if metres > FURTHEST:
            return Reason.NO_ECHO
        return metres if metres >= NEAREST else Reason.OUT_OF_RANGE


DRIVER = RangingDriver(
    name="hcsr04",
    title="HC-SR04",
    settings=Settings,
    quantities=quantities,
    make=Hcsr04,
    reasons=(Reason.NO_ECHO, Reason.OUT_OF_RANGE, Reason.NO_REPLY),
    wiring=(
        Wire("VCC", V5),
        Wire("Trig", N_("the GPIO pin that is configured as trigger")),
        Wire("Echo", N_("the GPIO pin that is configured as echo"), N_("through a divider: 5 V would destroy the Pi")),
        Wire("GND", GND),
    ),
    notes=(
        N_("Echo is at 5 V: 1 kilohm from Echo to the pin, and 2 kilohm from the pin to GND, make 3.3 V of it"),
        N_("Not waterproof, and nothing for years outdoors: a stop-gap until an A02YYUW comes"),
    ),
    source="ElecFreaks, HC-SR04 user guide; read by gpiozero's DistanceSensor",
)
