"""What the journal says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What can be wrong with the places the journal keeps its records in."""

    YOUNG = "young_end"  # tmpfs refuses: what comes now would not survive a crash
    CARD = "card"  # the card refuses: what comes now would not survive a power cut
    DAMAGED = "damaged"  # something could not be read back at start


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
