"""Reminds of the yearly test of a device: its driver knows no time of day, so that the sampler tells."""

from __future__ import annotations

from datetime import UTC, date, datetime

from drivers.contract import Item, Measurement

EVERY = 3600.0  # seconds between two times that it is told while nothing changes


class Reminder:
    """Tells whether a year has passed since the last test, as soon as the time of day is known."""

    def __init__(self, tested_on: date) -> None:
        self._due_on = _a_year_after(tested_on)
        self._told: bool | None = None
        self._next = 0.0

    def look(self, at: float, utc: int | None) -> list[Item]:
        """Return `test_due` if that is news or was not told for long; `at` is in seconds, `utc` in nanoseconds."""
        if utc is None:
            return []
        is_due = datetime.fromtimestamp(utc / 1e9, UTC).date() >= self._due_on
        if is_due is self._told and at < self._next:
            return []
        self._told, self._next = is_due, at + EVERY
        return [Measurement("test_due", is_due)]


def _a_year_after(day: date) -> date:
    try:
        return day.replace(year=day.year + 1)
    except ValueError:  # the 29th of February
        return date(day.year + 1, 3, 1)
