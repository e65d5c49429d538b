"""The driver `modbus`: any device that somebody wrote a profile for.

Where its file is known the agent makes a driver of it that is as good as a shipped one. This one stands for all of
them where it is not known yet: in the list of drivers, in the schema, and on the command line of `roadside decode`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from drivers.contract import N_, BusOutputDriver, Decoder, Help, Poller, PollingDriver
from drivers.modbus import loop, meter, reading, relay
from drivers.modbus.making import RS485, driver_of
from drivers.modbus.meter import Words
from drivers.modbus.profile import Profile
from drivers.modbus.relay import RelayNumber
from drivers.registry import BY_PROFILE
from drivers.settings import LongestOn

ProfileFile = Annotated[
    str, Help(N_("The whole path of the profile, such as /etc/roadside/meter.toml, or the name of a shipped one"))
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSettings(meter.Settings):
    """Settings of a meter with a profile of its own."""

    profile: ProfileFile


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings(loop.Settings):
    """Settings of a 4-20 mA input with a profile of its own."""

    profile: ProfileFile


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings(relay.Settings):
    """Settings of an output with a profile of its own."""

    profile: ProfileFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(loop.Settings):
    """Settings of any device with a profile; which of them have a meaning, the profile tells."""

    profile: ProfileFile
    words: Words = None
    relay: RelayNumber = 1
    longest_on: LongestOn = 180.0

    def __post_init__(self) -> None:
        loop.Settings.__post_init__(self)
        try:
            reading.read(self.profile)
        except reading.ProfileError as error:
            raise ValueError(f"profile: {error}") from error


def driver_by(profile: Profile) -> PollingDriver | BusOutputDriver:
    """Return the driver `modbus` as a profile makes it."""
    if profile.outputs is not None:
        return driver_of(BY_PROFILE, profile, settings=RelaySettings)
    return driver_of(BY_PROFILE, profile, settings=LoopSettings if profile.channels is not None else MeterSettings)


def _meant(settings: Settings) -> tuple[PollingDriver | BusOutputDriver, Any]:
    """Return the driver that these settings mean, and its own settings; raises ProfileError."""
    driver = driver_by(reading.read(settings.profile))
    return driver, driver.settings(**{each.name: getattr(settings, each.name) for each in fields(driver.settings)})


def _quantities(settings: Settings) -> Mapping[str, str]:
    driver, own = _meant(settings)
    return driver.quantities(own)


def _make(settings: Settings) -> Poller:
    driver, own = _meant(settings)
    if isinstance(driver, BusOutputDriver):
        raise reading.ProfileError(f"{settings.profile}: an output is not polled")
    return driver.make(own)


def _overhear(settings: Settings) -> Decoder:
    driver, own = _meant(settings)
    if driver.overhear is None:
        raise AssertionError("every profile can be overheard")
    return driver.overhear(own)


DRIVER = PollingDriver(
    name=BY_PROFILE,
    title=N_("Any Modbus RTU device, by a profile of your own"),
    settings=Settings,
    quantities=_quantities,
    make=_make,
    overhear=_overhear,
    wiring=RS485,
    notes=(N_("How to write a profile: docs/modbus-profiles.md"),),
    source="Modbus application protocol V1.1b3; Modbus over serial line V1.02",
)
