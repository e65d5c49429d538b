"""Judges what a device says while somebody is at it. No clock, no terminal: it is fed what `watch` tells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.commissioning.tasks import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.commissioning.tasks import Task

NEARLY = 0.999  # totals are sums of decimal fractions
LARGEST = 1e300  # no sensor says more, and sums must be possible
ROUNDS = 2  # a value may be the last word of a device that died


@dataclass(slots=True)
class Arrived:
    """What came of one quantity."""

    first: Any
    unit: str
    last: Any = None
    lowest: float = math.inf
    highest: float = -math.inf
    count: int = 0

    def plain(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        numbers = {"lowest": self.lowest, "highest": self.highest} if self.lowest <= self.highest else {}
        return {"first": self.first, "last": self.last, **numbers, "count": self.count, "unit": self.unit}


class Judge:
    """Whether a device has done what its task wants."""

    def __init__(self, task: Task) -> None:
        self.arrived: dict[str, Arrived] = {}
        self.reasons: dict[str, str] = {}  # quantities that said why they have no value, and nothing since
        self.faults = 0
        self._task = task
        before = task.before.get(task.quantity)
        self._states: set[Any] = set()  # of the task's quantity, where it is no number
        self._extremes: tuple[float, float] | None = None  # where it is one
        if before is not None:
            self._see(before)

    def take(self, entry: Mapping[str, Any]) -> None:
        """Take one entry of `watch`."""
        if "fault" in entry:
            self.faults += 1
        if "quantity" not in entry:
            return
        quantity, value = entry["quantity"], entry["value"]
        if value is None:
            self.reasons[quantity] = str(entry.get("reason") or "")
            return
        self.reasons.pop(quantity, None)
        self._note(quantity, value, entry.get("unit", ""))
        if quantity == self._task.quantity:
            self._see(value)

    @property
    def passed(self) -> bool:
        """Whether the device has done it, as far as a machine can tell."""
        if self.implausible:
            return False
        match self._task.kind:
            case Kind.MOVES:
                return self._task.quantity in self.arrived and self._moved()
            case Kind.SWITCHES:
                return True in self._states and self.arrived["on"].last is False
            case Kind.LIVES:
                return any(each.count >= ROUNDS for each in self.arrived.values())

    @property
    def implausible(self) -> list[str]:
        """The quantities whose values cannot be, as the configuration says."""
        return [
            name
            for name, (low, high) in self._task.plausible.items()
            if name in self.arrived and (self.arrived[name].lowest < low or self.arrived[name].highest > high)
        ]

    @property
    def moved(self) -> float:
        """By how much the task's quantity has moved, if it is a number; 0 if it is none."""
        return 0.0 if self._extremes is None else self._extremes[1] - self._extremes[0]

    def _moved(self) -> bool:
        if is_number(self.arrived[self._task.quantity].last):
            return self.moved >= self._task.by * NEARLY
        return len(self._states) > 1

    def _see(self, value: Any) -> None:  # noqa: ANN401 - any value of a quantity
        if is_number(value):
            low, high = self._extremes or (value, value)
            self._extremes = min(low, value), max(high, value)
        else:
            self._states.add(value)

    def _note(self, quantity: str, value: Any, unit: str) -> None:  # noqa: ANN401 - as above
        known = self.arrived.setdefault(quantity, Arrived(value, unit))
        known.last = value
        known.count += 1
        if is_number(value):
            known.lowest, known.highest = min(known.lowest, value), max(known.highest, value)


def is_number(value: object) -> bool:
    """Tell whether a value is a number that can move."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
