"""The drivers there are: one explicit table, and what others add through the entry-point group `roadside.drivers`.

A driver's module is imported when it is first asked for: a gateway loads only what its configuration names.
"""

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from drivers.contract import (
    BusOutputDriver,
    Driver,
    GatewayDriver,
    InputDriver,
    ListeningDriver,
    OutputDriver,
    PollingDriver,
    RangingDriver,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

GROUP = "roadside.drivers"

SHAPES = (
    ListeningDriver,
    PollingDriver,
    BusOutputDriver,
    InputDriver,
    RangingDriver,
    OutputDriver,
    GatewayDriver,
)
BY_PROFILE = "modbus"  # the driver that somebody's own profile makes

TABLE = {
    "a02yyuw": "drivers.devices.a02yyuw:DRIVER",
    "anemometer": "drivers.devices.anemometer:DRIVER",
    "button": "drivers.devices.button:DRIVER",
    "fmr20": "drivers/profiles/fmr20.toml",
    "hcsr04": "drivers.devices.hcsr04:DRIVER",
    "host": "drivers.devices.host:DRIVER",
    "hpma115": "drivers.devices.hpma115:DRIVER",
    "ld2451": "drivers.devices.ld2451:DRIVER",
    "line": "drivers.devices.line:DRIVER",
    "link": "drivers.devices.link:DRIVER",
    "loop_detector": "drivers.devices.loop_detector:DRIVER",
    "lx80": "drivers/profiles/lx80.toml",
    "maxbotix": "drivers.devices.maxbotix:DRIVER",
    "mhz19": "drivers.devices.mhz19:DRIVER",
    "modbus": "drivers.modbus.own:DRIVER",
    "nmea": "drivers.devices.nmea:DRIVER",
    "ops243": "drivers.devices.ops243:DRIVER",
    "plantower": "drivers.devices.plantower:DRIVER",
    "pulse_counter": "drivers.devices.pulse_counter:DRIVER",
    "pzem004t": "drivers/profiles/pzem004t.toml",
    "rain_gauge": "drivers.devices.rain_gauge:DRIVER",
    "relay8": "drivers/profiles/relay8.toml",
    "rs_fsjt": "drivers/profiles/rs_fsjt.toml",
    "rs_fxjt": "drivers/profiles/rs_fxjt.toml",
    "sdi_radar_300wl": "drivers/profiles/sdi_radar_300wl.toml",
    "sdm120": "drivers/profiles/sdm120.toml",
    "sdm230": "drivers/profiles/sdm230.toml",
    "sdm630": "drivers/profiles/sdm630.toml",
    "sds011": "drivers.devices.sds011:DRIVER",
    "seeed_wind": "drivers/profiles/seeed_wind.toml",
    "sen0657": "drivers/profiles/sen0657.toml",
    "sen0676": "drivers/profiles/sen0676.toml",
    "siren": "drivers.devices.siren:DRIVER",
    "sm7901": "drivers/profiles/sm7901.toml",
    "sps30": "drivers.devices.sps30:DRIVER",
    "tfmini": "drivers.devices.tfmini:DRIVER",
    "tower_lamp": "drivers/profiles/tower_lamp.toml",
    "vantage": "drivers.devices.vantage:DRIVER",
    "vedirect": "drivers.devices.vedirect:DRIVER",
    "winsen": "drivers.devices.winsen:DRIVER",
    "wxt53x": "drivers.devices.wxt53x:DRIVER",
    "waveshare_analog": "drivers/profiles/waveshare_analog.toml",
    "waveshare_relay": "drivers/profiles/waveshare_relay.toml",
    "wavetronix": "drivers.devices.wavetronix:DRIVER",
    "xm8589": "drivers/profiles/xm8589.toml",
    "xymd02": "drivers/profiles/xymd02.toml",
}


class DriverError(Exception):
    """A driver cannot be had."""


class UnknownDriverError(DriverError):
    """There is no driver of that name; `nearest` are the names that look like it, best first."""

    def __init__(self, name: str, nearest: list[str]) -> None:
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        super().__init__(f"{name!r} is not a driver{hint}")
        self.name = name
        self.nearest = nearest


class BrokenDriverError(DriverError):
    """There is a driver of that name, but it cannot be used; the others can."""

    def __init__(self, name: str, where: str, detail: str) -> None:
        super().__init__(f"the driver {name!r} ({where}) cannot be used: {detail}")
        self.name = name


def names() -> list[str]:
    """Return the names of all drivers, sorted, without loading any."""
    return sorted({*TABLE, *_added().names})


def load(name: str) -> Driver:
    """Return the driver of that name; raises UnknownDriverError or BrokenDriverError.

    The table comes first: an added driver cannot take the place of one of Roadside's own.
    """
    if target := TABLE.get(name):
        if target.endswith(".toml"):
            return _of_profile(name)
        module, _, attribute = target.partition(":")
        driver: Driver = getattr(import_module(module), attribute)
        return driver
    added = _added().select(name=name)
    if not added:
        raise UnknownDriverError(name, get_close_matches(name, names()))
    # One distribution seen through two folders of the path is one offer.
    offers = {entry.value: entry for entry in added}
    if len(offers) > 1:
        raise BrokenDriverError(name, " and ".join(sorted(offers)), "two packages offer it; remove one")
    return _load_added(next(iter(offers.values())))


@cache
def _of_profile(name: str) -> Driver:
    """Return the driver that one of our own profiles makes."""
    from drivers.modbus import making, reading

    return making.driver_of(name, reading.read(name))


def _added() -> "EntryPoints":
    from importlib.metadata import entry_points  # slow, and few gateways have drivers of others

    return entry_points(group=GROUP)


def _load_added(entry: "EntryPoint") -> Driver:
    try:
        driver = entry.load()
    except (Exception, SystemExit) as error:  # a stranger's module may do anything while it is imported
        raise BrokenDriverError(entry.name, entry.value, f"{type(error).__name__}: {error}") from error
    if not isinstance(driver, SHAPES):
        shapes = ", ".join(shape.__name__ for shape in SHAPES)
        raise BrokenDriverError(entry.name, entry.value, f"{type(driver).__name__} is none of {shapes}")
    if driver.name != entry.name:
        raise BrokenDriverError(entry.name, entry.value, f"it calls itself {driver.name!r}")
    return driver
