"""How well bytes fit what a driver expects, and so how sure it is what sent them."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from agent import decoding
from drivers import registry
from drivers.contract import Fault, FaultKind, ListeningDriver, PollingDriver
from drivers.modbus import frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Bits of a good frame that chance would have had to get right: head, fixed bytes, checksum. Of lines of text without a
# checksum it is what their form is worth.
STRENGTH: Mapping[str, int] = {
    "a02yyuw": 16,
    "hpma115": 32,
    "ld2451": 80,
    "maxbotix": 24,
    "mhz19": 24,
    "nmea": 24,
    "ops243": 8,
    "plantower": 48,
    "sds011": 32,
    "sps30": 24,
    "tfmini": 24,
    "vantage": 40,
    "vedirect": 32,
    "wavetronix": 24,
    "winsen": 24,
    "wxt53x": 24,
}
UNKNOWN_STRENGTH = 8  # of a driver that somebody added
ENOUGH = 2048  # bytes looked at: the last that came
SURE, LIKELY = 48, 24  # bits in good frames together
MOSTLY, HALF, HARDLY = 0.8, 0.5, 0.2  # share of good frames among all
EXCUSED = 1  # faults: the first frame was already on its way when we began to listen
TRAFFIC = 2  # Modbus frames that are not there by chance


class Sureness(IntEnum):
    """How sure it is."""

    MAYBE = 1
    LIKELY = 2
    SURE = 3


class Match(NamedTuple):
    """A driver that the bytes fit."""

    driver: str
    sureness: Sureness
    frames: int  # good ones
    faults: int
    bits: float  # of good frames, less for what was not good
    given: Mapping[str, str] = {}  # settings that it needs


@cache
def candidates() -> tuple[str, ...]:
    """Return the drivers whose devices say something that is theirs alone: no Modbus, and no text of any kind."""
    names = [name for name in registry.names() if name not in {"line", registry.BY_PROFILE}]
    return tuple(name for name in names if name in STRENGTH or _is_added(name))


def _is_added(name: str) -> bool:
    if name in registry.TABLE:
        return False
    try:
        driver = registry.load(name)
    except registry.DriverError:
        return False
    return isinstance(driver, ListeningDriver | PollingDriver)


def matches(data: bytes, names: Iterable[str] | None = None) -> list[Match]:
    """Return the drivers that fit, the surest first."""
    found = [match for name in (candidates() if names is None else names) if (match := match_of(name, data))]
    return sorted(found, key=lambda match: (-match.sureness, -match.bits, _asked(match.driver), match.driver))


def match_of(name: str, data: bytes, sign: bytes = b"") -> Match | None:
    """Return how well the bytes fit one driver; None if not at all. `sign` shows as well as a frame who it is."""
    driver = registry.load(name)
    try:
        decoder = decoding.decoder(driver, decoding.settings(driver, {}))
    except (ValueError, decoding.NothingToDecodeError):
        return None  # it cannot be decoded without settings, which nobody knows here
    good, faults = int(bool(sign) and sign in data), 0
    for byte in data[-ENOUGH:]:
        items = decoder.feed(bytes((byte,)))
        bad = sum(isinstance(item, Fault) and item.kind is not FaultKind.REFUSED for item in items)
        good += len(items) > bad
        faults += bad
    share = good / max(1, good + max(0, faults - EXCUSED))
    if not good or share < HARDLY:
        return None
    bits = good * STRENGTH.get(name, UNKNOWN_STRENGTH)
    if bits >= SURE and share >= MOSTLY:
        sureness = Sureness.SURE
    else:
        sureness = Sureness.LIKELY if bits >= LIKELY and share >= HALF else Sureness.MAYBE
    return Match(name, sureness, good, faults, bits * share)


def is_modbus_traffic(data: bytes) -> bool:
    """Tell whether somebody else asks Modbus devices on the line."""
    at, found = 0, 0
    while at < len(data) and found < TRAFFIC:
        size = frames.intact_size(data, at, len(data))
        found += size > 0
        at += size or 1
    return found >= TRAFFIC


def _asked(name: str) -> bool:
    """Of two that fit alike, the one that speaks unasked comes first when we were listening."""
    return not isinstance(registry.load(name), ListeningDriver)
