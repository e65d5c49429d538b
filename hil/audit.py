"""The account: each measurement that the devices emitted is received, unheard, withheld, or it is lost.

The agent's own word proves nothing here. Emitted is what the devices wrote, received is what the city holds, unheard
follows from the wires; only that something was withheld is taken from the agent's ledger, and no further than a
statement goes: that quantity, that span of time, that count.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hil.emissions import Kind
from hil.matching import Matches, counts, samples, states, unspoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hil.emissions import Cut, Deaf, Emission
    from hil.packs import Received, Statement

COLUMNS = ("received", "unheard", "withheld", "lost", "doubled", "misdated")
TOLERANCE = 0.5  # seconds between emission and the time of a reading, on top of the uncertainty the agent states
RATES = frozenset({"rain_rate"})  # made by the agent of what it counts; a weather station says such a rate itself


class Misdated(NamedTuple):
    """A reading whose value was emitted at another time (`emission`), or never (None)."""

    reading: Received
    emission: Emission | None


@dataclass(slots=True)
class Account:
    """Where every emission went; one that came up misdated is in none of the other lists of emissions."""

    emitted: int = 0
    received: list[Emission] = field(default_factory=list)
    unheard: list[Emission] = field(default_factory=list)
    withheld: list[Emission] = field(default_factory=list)
    lost: list[Emission] = field(default_factory=list)
    doubled: list[Received] = field(default_factory=list)
    misdated: list[Misdated] = field(default_factory=list)
    missing: int = 0  # numbers that never arrived, of any stream: alarms and the ledger are not measured, yet numbered

    @property
    def clean(self) -> bool:
        """Tell whether nothing was lost, doubled or misdated."""
        return not (self.lost or self.doubled or self.misdated or self.missing)

    def __str__(self) -> str:
        """Return the one line that says it all."""
        counts = {name: len(getattr(self, name)) for name in COLUMNS}
        counts["lost"] += self.missing
        return "  ".join([f"emitted {self.emitted}", *(f"{name} {count}" for name, count in counts.items())])


def audit(
    emissions: Iterable[Emission],
    received: Iterable[Received],
    *,
    deaf: Sequence[Deaf] = (),
    cuts: Sequence[Cut] = (),
    statements: Iterable[Statement] = (),
    tolerance: float = TOLERANCE,
) -> Account:
    """Account for every emission. `received` holds each number once; readings of unknown devices are left out."""
    said: dict[tuple[str, str], list[Emission]] = defaultdict(list)
    for emission in emissions:
        said[emission.device, emission.quantity].append(emission)
    devices = {device for device, _ in said}
    counters = {device for (device, _), ours in said.items() if ours[0].kind is Kind.COUNT}
    held: dict[tuple[str, str], list[Received]] = defaultdict(list)
    for reading in _measurements(received):
        made = reading.device in counters and reading.quantity in RATES
        if reading.device in devices and not made:
            held[reading.device, reading.quantity].append(reading)
    account = Account()
    ledger = _Ledger(statements, tolerance)
    for key in sorted(said.keys() | held.keys()):
        one = sorted(said[key], key=lambda emission: emission.at)
        readings = sorted(held[key], key=lambda reading: (reading.utc is None, reading.utc, reading.number))
        _settle(account, one, _match(one, readings, deaf, cuts, tolerance), deaf, cuts, ledger)
    return account


def _measurements(readings: Iterable[Received]) -> list[Received]:
    """Return the readings without those that sum up a window, such as `pm1:mean`.

    They take no emission's place; what went into them is withheld, and the ledger has to say so.
    """
    return [reading for reading in readings if ":" not in reading.quantity]


def _match(
    emissions: Sequence[Emission],
    readings: Sequence[Received],
    deaf: Sequence[Deaf],
    cuts: Sequence[Cut],
    tolerance: float,
) -> Matches:
    if not emissions:
        return unspoken(readings)
    match emissions[0].kind:
        case Kind.SAMPLE:
            return samples(emissions, readings, tolerance, _covered(emissions, (*deaf, *cuts)))
        case Kind.STATE:
            return states(emissions, readings, tolerance, _covered(emissions, (*deaf, *cuts)))
        case Kind.COUNT:
            return counts(emissions, readings, tolerance, _covered(emissions, deaf))


def _covered(emissions: Sequence[Emission], stretches: Sequence[Deaf | Cut]) -> frozenset[int]:
    ours = [stretch for stretch in stretches if any(stretch.device == one.device for one in emissions[:1])]
    return frozenset(
        index for index, emission in enumerate(emissions) if any(stretch.covers(emission) for stretch in ours)
    )


def _settle(
    account: Account,
    emissions: Sequence[Emission],
    matches: Matches,
    deaf: Sequence[Deaf],
    cuts: Sequence[Cut],
    ledger: _Ledger,
) -> None:
    """Put the emissions of one quantity into the account: what is certain first, what the agent claims after that."""
    misdated = {index for _, index in matches.misdated}
    unheard, cut = _covered(emissions, deaf), _covered(emissions, cuts)
    for index, emission in enumerate(emissions):
        if index in matches.received:
            account.received.append(emission)
        elif index in misdated:
            continue
        elif index in unheard:
            account.unheard.append(emission)
        elif ledger.covers(emission):
            account.withheld.append(emission)
        elif index in cut:
            account.unheard.append(emission)
        else:
            account.lost.append(emission)
    account.emitted += len(emissions)
    account.doubled += matches.doubled
    account.misdated += [
        Misdated(reading, None if index is None else emissions[index]) for reading, index in matches.misdated
    ]


@dataclass(slots=True)
class _Claim:
    since: float
    until: float
    left: int


class _Ledger:
    """The agent's statements of what it withheld, each good for its count and no more."""

    def __init__(self, statements: Iterable[Statement], tolerance: float) -> None:
        self._claims: dict[tuple[str, str], list[_Claim]] = defaultdict(list)
        for statement in statements:
            if statement.kind == "withheld" and statement.span is not None:
                since, until = statement.span
                margin = tolerance + statement.uncertainty
                claim = _Claim(since - margin, until + margin, statement.count)
                self._claims[statement.device, statement.quantity].append(claim)
        for claims in self._claims.values():
            claims.sort(key=lambda claim: claim.until)

    def covers(self, emission: Emission) -> bool:
        """Take one off the statement that runs out first, of those that speak of this emission."""
        for claim in self._claims[emission.device, emission.quantity]:
            if claim.left and claim.since <= emission.at <= claim.until:
                claim.left -= 1
                return True
        return False
