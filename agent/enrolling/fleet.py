"""Many cards in a row: which is next, what the technician answers, and what has been done before.

It knows no card and no terminal: both are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agent.enrolling.manifest import Row


class Answer(Enum):
    """What the technician says to a gateway whose turn it is."""

    WRITE = "write"
    SKIP = "skip"
    END = "end"


class Bench(Protocol):
    """Where cards are made: the technician, and the card in the reader."""

    def ask(self, row: Row, number: int, count: int) -> Answer:
        """Show which gateway is next, the number'th of so many, and wait for an answer."""
        ...

    def write(self, row: Row) -> bool:
        """Make its card and enter it in the register; return False, having said why, if that failed."""
        ...


@dataclass(slots=True)
class Outcome:
    """What became of the gateways of a list, by id."""

    made: list[str] = field(default_factory=list)
    done_before: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # the technician ended before their turn


def run(rows: Sequence[Row], done: Collection[str], bench: Bench) -> Outcome:
    """Make a card for each gateway that has none; one that fails stays next until it is made, or skipped."""
    outcome = Outcome(done_before=[row.gateway for row in rows if row.gateway in done])
    waiting = [row for row in rows if row.gateway not in done]
    for at, row in enumerate(waiting):
        while (answer := bench.ask(row, at + 1, len(waiting))) is Answer.WRITE and not bench.write(row):
            continue
        if answer is Answer.END:
            outcome.left += [one.gateway for one in waiting[at:]]
            break
        (outcome.made if answer is Answer.WRITE else outcome.skipped).append(row.gateway)
    return outcome
