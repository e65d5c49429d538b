"""Counts what did not become a reading of its own, so that the ledger can say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from agent.memories import LARGEST
from agent.readings import LedgerEntry


class Key(NamedTuple):
    """What is counted together within a device."""

    quantity: str
    why: str


@dataclass(slots=True)
class Tally:
    """How many measurements between two instants (boottime in nanoseconds)."""

    count: int
    since: int
    until: int


class Withheld:
    """Open tallies of withheld measurements by device, quantity and why.

    `memory` is cheap enough to be kept after each `add`: it is as long as the device has open tallies, a handful.
    """

    def __init__(self) -> None:
        self._tallies: dict[str, dict[Key, Tally]] = {}

    def add(self, device: str, quantity: str, why: str, at: int) -> None:
        """Count one measurement of the instant `at`."""
        tallies = self._tallies.setdefault(device, {})
        tally = tallies.get(Key(quantity, why))
        if tally is None:
            tallies[Key(quantity, why)] = Tally(1, at, at)
        else:
            tally.count += 1
            tally.since = min(tally.since, at)
            tally.until = max(tally.until, at)

    def take(self, at: int) -> list[LedgerEntry]:
        """Close all tallies and return them for the ledger; their devices' memories are empty from now on."""
        entries = [
            LedgerEntry(
                at=at,
                kind="withheld",
                why=key.why,
                count=tally.count,
                device=device,
                quantity=key.quantity,
                since=tally.since,
                until=tally.until,
            )
            for device, tallies in self._tallies.items()
            for key, tally in tallies.items()
        ]
        self._tallies.clear()
        return entries

    def memory(self, device: str) -> list[object]:
        """Return a device's open tallies, ready for JSON. They belong to this boot."""
        tallies = self._tallies.get(device, {})
        return [[*key, tally.count, tally.since, tally.until] for key, tally in tallies.items()]

    def recall(self, device: str, memory: object) -> None:
        """Take up, before the first `add`, what an earlier run of this boot left open.

        Raises ValueError, and takes up nothing, if this is not what `memory` returned.
        """
        tallies: dict[Key, Tally] = {}
        if not isinstance(memory, list):
            raise ValueError(f"{device}: not tallies of withheld measurements: {memory!r:.80}")
        for row in memory:
            match row:
                case [str(quantity), str(why), int(count), int(since), int(until)] if (
                    0 < count < LARGEST and 0 <= since <= until < LARGEST
                ):
                    tallies[Key(quantity, why)] = Tally(count, since, until)
                case _:
                    raise ValueError(f"{device}: not a tally of withheld measurements: {row!r}")
        if tallies:
            self._tallies[device] = tallies
