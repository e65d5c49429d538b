"""What sensors that look down on water share: they say a distance, and a level if their height is known."""

from collections.abc import Mapping
from typing import Annotated

from drivers.contract import N_, Help, Interval, Measurement, Reason
from drivers.quantities import unit

DIGITS = 3  # of metres

MountHeight = Annotated[
    float | None,
    Interval(ge=-100, le=100),
    Help(N_("Height of the sensor above the zero of the gauge: sends water_level, not water_distance"), unit="m"),
]


def quantity(mount_height: float | None) -> str:
    """Return what is measured: the level if the height of the sensor is known, else the distance."""
    return "water_distance" if mount_height is None else "water_level"


def quantities(mount_height: float | None) -> Mapping[str, str]:
    """Return the one quantity and its unit."""
    return {quantity(mount_height): unit(quantity(mount_height))}


def measure(mount_height: float | None, distance: float | Reason) -> Measurement:
    """Return the measurement of a distance in metres, or of the reason why there is none."""
    if isinstance(distance, Reason):
        return Measurement(quantity(mount_height), None, distance)
    return Measurement(
        quantity(mount_height), round(distance if mount_height is None else mount_height - distance, DIGITS)
    )
