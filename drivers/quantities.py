"""The one table of what is measured: name, SenML unit (RFC 8428 and its registry) and the words a person reads.

The same quantity from two makers has the same name and the same unit; a driver converts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Quantity(NamedTuple):
    """A thing that is measured."""

    unit: str  # SenML unit; "" for a state or a plain number without unit
    title: str


QUANTITIES: dict[str, Quantity] = {
    # air
    "pm1": Quantity("ug/m3", N_("Particulate matter up to 1 um")),
    "pm2_5": Quantity("ug/m3", N_("Particulate matter up to 2.5 um")),
    "pm10": Quantity("ug/m3", N_("Particulate matter up to 10 um")),
    # electricity
    "voltage": Quantity("V", N_("Voltage")),
    "current": Quantity("A", N_("Current")),
    "active_power": Quantity("W", N_("Active power")),
    "power_factor": Quantity("/", N_("Power factor")),
    "frequency": Quantity("Hz", N_("Mains frequency")),
    "energy_import": Quantity("kWh", N_("Energy taken")),
    # water
    "water_distance": Quantity("m", N_("Distance down to the water")),
    "water_level": Quantity("m", N_("Water level")),
    "rain": Quantity("mm", N_("Rain since the gauge was installed")),
    # position
    "latitude": Quantity("lat", N_("Latitude")),
    "longitude": Quantity("lon", N_("Longitude")),
    "altitude": Quantity("m", N_("Altitude above mean sea level")),
    "speed": Quantity("m/s", N_("Speed over ground")),
    "satellites": Quantity("count", N_("Satellites used")),
    "hdop": Quantity("", N_("Horizontal dilution of precision")),
    # states
    "pressed": Quantity("", N_("Pressed")),
    "on": Quantity("", N_("Switched on")),
}


def unit(quantity: str) -> str:
    """Return the SenML unit of a quantity of the table."""
    return QUANTITIES[quantity].unit


def always(*names: str) -> Callable[[object], Mapping[str, str]]:
    """Return `Driver.quantities` of a driver that measures the same whatever its settings."""
    units = {name: unit(name) for name in names}
    return lambda _settings: units
