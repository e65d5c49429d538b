"""Whether a device is there, and for long enough to be believed."""

from __future__ import annotations

from typing import NamedTuple

from drivers.contract import Reason

UNHEARD = frozenset({Reason.NO_REPLY, Reason.SILENT})  # reasons that say that nothing came from the device
GRAIN = 10  # what was heard is worth remembering again after this part of `silent_after`


class Times(NamedTuple):
    """What a later run in the same boot must know; boottime in nanoseconds."""

    heard: int | None  # the last sign of life
    waiting: int  # since when we wait for the next
    warm: int  # when warm-up is over


class Presence:
    """Knows when a device is overdue and when it is warm. All times are nanoseconds."""

    def __init__(self, silent_after: int, warm_up: int, at: int, earlier: Times | None) -> None:
        self._silent_after = silent_after
        self._warm_up = warm_up
        self._heard = earlier.heard if earlier else None
        self._warm = earlier.warm if earlier else at
        # A new run gives a device that was heard by the last one its whole time again: nobody listened meanwhile. The
        # run after that does not, or an agent that restarts again and again would never report a silence.
        self._waiting = earlier.waiting if earlier and earlier.waiting != earlier.heard else at
        self._remembered = self._heard

    def heard(self, at: int) -> bool:
        """Take a sign of life; return whether it is worth remembering."""
        back = self._heard is None or at - self._heard >= self._silent_after
        if back:
            self._warm = at + self._warm_up
        self._heard = self._waiting = at
        return back or self._remembered is None or (at - self._remembered) * GRAIN >= self._silent_after

    def warming_up(self, at: int) -> bool:
        """Return whether what the device says is not to be trusted yet."""
        return at < self._warm

    def deadline(self) -> int:
        """Return when the device is overdue unless it is heard before."""
        return self._waiting + self._silent_after

    def times(self) -> Times:
        """Return what a later run must know."""
        self._remembered = self._heard
        return Times(self._heard, self._waiting, self._warm)
