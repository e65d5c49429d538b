"""A profile becomes a driver."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from drivers import wiring
from drivers.contract import N_, BusOutputDriver, FaultKind, PollingDriver, Reason, Wire
from drivers.modbus import loop, meter, relay
from drivers.quantities import always

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.modbus.profile import Profile

PLACES = {
    "A": wiring.A,
    "B": wiring.B,
    "3.3 V": wiring.V3,
    "5 V": wiring.V5,
    "GND": wiring.GND,
    "TXD": wiring.TXD,
    "RXD": wiring.RXD,
    "supply": wiring.SUPPLY,
    "open": wiring.OPEN,
}
RS485 = (Wire("A", wiring.A), Wire("B", wiring.B))
TERMINATION = N_("120 ohms between A and B at both ends of the line")
UNTRIED = N_("Made of its manual alone: compare it with another instrument before anybody relies on it")
SILENT_AFTER = 60.0
FAULTS = (
    FaultKind.NO_REPLY,
    FaultKind.CHECKSUM,
    FaultKind.TRUNCATED,
    FaultKind.GARBAGE,
    FaultKind.REFUSED,
    FaultKind.WRONG_DEVICE,
    FaultKind.MALFORMED,
)


def driver_of(name: str, profile: Profile, *, settings: type[Any] | None = None) -> PollingDriver | BusOutputDriver:
    """Return the driver of a profile; `settings` is a class that has all fields of the usual one, and more."""
    said: dict[str, Any] = {
        "name": name,
        "title": profile.title,
        "line": profile.line,
        "every": profile.every,
        "silent_after": max(SILENT_AFTER, 3 * profile.every),
        "faults": FAULTS,
        "wiring": tuple(Wire(wire.pin, PLACES[wire.to]) for wire in profile.wiring) or RS485,
        "notes": tuple(_notes(profile)),
        "source": f"{profile.source}; tried on {profile.tested_on}" if profile.tested_on else profile.source,
        "alarms": profile.alarms,
        "profile": profile,
    }
    if profile.outputs is not None:
        return BusOutputDriver(
            **said,
            settings=settings or relay.Settings,
            quantities=always("on"),
            make=partial(relay.Relay, profile, profile.outputs),
            overhear=partial(relay.overhear, profile, profile.outputs),
        )
    if profile.channels is not None:
        return PollingDriver(
            **said,
            settings=settings or loop.Settings,
            quantities=loop.quantities,
            reasons=(Reason.BROKEN_WIRE, Reason.OVER_RANGE),
            make=partial(loop.Loop, profile, profile.channels),
            overhear=partial(loop.overhear, profile, profile.channels),
        )
    units = profile.units()
    return PollingDriver(
        **said,
        settings=settings or meter.Settings,
        quantities=lambda _settings: units,
        reasons=tuple(_reasons(profile)),
        make=partial(meter.Meter, profile),
        overhear=partial(meter.overhear, profile),
    )


def _notes(profile: Profile) -> Iterator[str]:
    """Yield what a technician must know."""
    yield from profile.notes
    if not profile.tested_on:
        yield UNTRIED
    if not profile.wiring:
        yield TERMINATION


def _reasons(profile: Profile) -> Iterator[Reason]:
    """Yield why a meter's answer may hold no value."""
    values = profile.values.values()
    marked = (value.invalid or value.type == "f32" or value.true is not None for value in values)
    if profile.health is not None or any(marked):
        yield Reason.INVALID
    if any(value.rails is not None for value in values):
        yield Reason.OUT_OF_RANGE
