"""What the journal says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.logs import Log


class Fault(StrEnum):
    """What can be wrong with the places the journal keeps its records in."""

    YOUNG = "young_end"  # tmpfs refuses: what comes now would not survive a crash
    CARD = "card"  # the card refuses: what comes now would not survive a power cut
    RESERVE = "reserve"  # the card's disk has less room than is to be left to others
    DAMAGED = "damaged"  # something could not be read back, or was removed; stands until the agent starts anew


class Faults:
    """The faults that stand, each logged when it comes, changes or goes."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._standing: dict[Fault, str] = {}

    def put(self, fault: Fault, message: str) -> None:
        """A fault stands."""
        if self._standing.get(fault) != message:
            self._log.error("journal_fault", fault=fault.value, detail=message)
        self._standing[fault] = message

    def clear(self, fault: Fault) -> None:
        """A fault is over, if it stood."""
        if self._standing.pop(fault, None) is not None:
            self._log.info("journal_well", fault=fault.value)

    def stands(self, fault: Fault) -> bool:
        """Return whether a fault stands."""
        return fault in self._standing

    def messages(self) -> dict[str, str]:
        """Return what stands, by name."""
        return {fault.value: message for fault, message in self._standing.items()}


@dataclass(slots=True, frozen=True)
class JournalStatus:
    """Numbers for health and `roadside status`."""

    epoch: str
    next: dict[str, int]  # by stream: the number the next record will have
    waiting: dict[str, dict[str, int]]  # by uplink and stream: records not delivered yet
    young_bytes: int
    card_bytes: int
    commits: int
    committed_bytes: int
    unkept: int  # frames that the young end refused
    faults: dict[str, str]  # by name: what the system said
