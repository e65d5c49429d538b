"""The time of day from a GNSS receiver: a witness against the wall clock or, where configured, a source of dates.

A receiver is believed only after several fixes that agree, and never blindly: a firmware past its week rollover is off
by a multiple of 1024 weeks with the best of fixes (the GPS week has 10 bits; IS-GPS-200, section 20.3.3.3.1.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.timekeeper import DRIFT, JUMP, SECOND, ClockFault, Dated

if TYPE_CHECKING:
    from drivers.contract import TimeFix

ROLLOVER = 1024 * 7 * 86_400 * SECOND
ROLLED_NEAR = 366 * 86_400 * SECOND  # a floor may be so old: a gateway that was in store for a year
FARTHEST = 15 * 366 * 86_400 * SECOND  # beyond the floor; a rollover is 19.6 years
AGREE = 5  # fixes in a row
SILENT = 10 * SECOND  # without a fix after which the last one counts for nothing


class Gnss:
    """Takes the fixes of all receivers; one that disagrees begins the count anew."""

    def __init__(self, *, dates: bool) -> None:
        self.dates = dates  # whether readings may be dated by it
        self._last: Dated | None = None
        self._at = 0
        self._agreed = 0

    def take(self, fix: TimeFix, at: int) -> None:
        """Take a fix that came at `at` (boottime in nanoseconds)."""
        said = Dated(round((fix.utc + fix.age) * SECOND), fix.uncertainty)
        expected = self._expected(at)
        is_same = expected is not None and abs(said.utc - expected.utc) <= round(fix.uncertainty * SECOND)
        self._agreed = self._agreed + 1 if is_same else 1
        self._last, self._at = said, at

    def time(self, now: int) -> Dated | None:
        """Return the UTC of a boottime; None if the receiver is silent or has not agreed with itself often enough."""
        return self._expected(now) if self._agreed >= AGREE else None

    def fault(self, said: Dated, known: Dated | None, floor: int) -> ClockFault | None:
        """Return what is wrong with what the receiver says, given the time of day, if known, and the floor."""
        if known is not None:
            off = said.utc - known.utc
            slack = round((said.uncertainty + known.uncertainty) * SECOND) + JUMP
            if abs(off) <= slack:
                return None
            weeks_off = abs(off - round(off / ROLLOVER) * ROLLOVER)
            return ClockFault.GNSS_ROLLOVER if weeks_off <= slack else ClockFault.GNSS_DISAGREES
        if floor - round(said.uncertainty * SECOND) <= said.utc <= floor + FARTHEST:
            return None
        is_rolled = (said.utc - floor) % ROLLOVER <= ROLLED_NEAR
        return ClockFault.GNSS_ROLLOVER if is_rolled else ClockFault.GNSS_IMPLAUSIBLE

    def _expected(self, now: int) -> Dated | None:
        if self._last is None or now - self._at > SILENT:
            return None
        passed = now - self._at
        return Dated(self._last.utc + passed, self._last.uncertainty + DRIFT * passed / SECOND)
