"""How to try a mounted device whose driver does not say so itself: by what it measures.

What is not in the table cannot be provoked by hand: there a person judges the values as they come.
"""

from collections.abc import Iterable

from drivers.contract import N_, Trial

BOARD = N_("Hold a board under the sensor, at least 30 cm nearer to it than the water is, and take it away")
CUPS = N_("Turn the cups by hand for some seconds, or blow on the sensor")
SMOKE = N_("Hold a match that has just gone out below the inlet, for some seconds")
VEHICLE = N_("Drive past, or wait for a vehicle")

# The first quantity that a device has is the one to try it by.
TABLE = (
    Trial(BOARD, "water_level", by=0.2),
    Trial(BOARD, "water_distance", by=0.2),
    Trial(N_("Hold a hand in front of the sensor, and take it away"), "distance", by=0.2),
    Trial(CUPS, "wind_speed", by=1.0, within=120.0),
    Trial(N_("Turn the vane by a quarter, hold it, and let it go"), "wind_direction", by=45.0, within=120.0),
    Trial(SMOKE, "pm2_5", by=10.0, within=120.0),
    Trial(N_("Breathe on the sensor for ten seconds"), "co2", by=100.0, within=180.0),
    Trial(N_("Clap your hands close to the microphone for some seconds"), "noise", by=10.0),
    Trial(VEHICLE, "vehicle_speed", within=300.0),
    Trial(VEHICLE, "vehicles", by=1.0, within=300.0),
    Trial(N_("Let a drop of water fall on the sensor, or pour some into the funnel"), "rain", by=0.1, within=120.0),
)


def by_quantity(quantities: Iterable[str]) -> Trial | None:
    """Return how to try a device that measures these; None if it cannot be provoked."""
    measured = frozenset(quantities)
    return next((trial for trial in TABLE if trial.quantity in measured), None)
