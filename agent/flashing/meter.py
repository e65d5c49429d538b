"""How far a card is, in one line: part done, speed, time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.i18n import _
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Callable

PHASES = {"write": N_("writing"), "check": N_("reading back")}
EVERY = 0.5  # seconds between two lines on a terminal
STEP = 10  # per cent between two lines elsewhere


class Meter:
    """A `agent.flashing.writing.Progress`. `now` counts seconds; `say` is given a line, and whether it stays."""

    def __init__(self, now: Callable[[], float], say: Callable[[str, bool], None], *, terminal: bool) -> None:
        self._now, self._say, self._terminal = now, say, terminal
        self._what, self._begun, self._said_at, self._said = "", 0.0, 0.0, -STEP

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take how far it is."""
        now = self._now()
        if what != self._what:
            self._what, self._begun, self._said_at, self._said = what, now, now, -STEP
        percent, is_whole = 100 * done // max(total, 1), done == total
        if is_whole and self._said == 100:
            return
        due = now - self._said_at >= EVERY if self._terminal else percent >= self._said + STEP
        if due or is_whole:
            self._said_at, self._said = now, percent
            self._say(self._line(percent, done, total, now - self._begun), is_whole or not self._terminal)

    def _line(self, percent: int, done: int, total: int, seconds: float) -> str:
        parts = [f"{_(PHASES[self._what])} {percent:3} %"]
        if seconds > 0:
            speed = done / seconds
            parts.append(_("{speed:.1f} MB/s").format(speed=speed / 1e6))
            if 0 < done < total:
                minutes, left = divmod(round((total - done) / speed), 60)
                parts.append(_("{minutes}:{seconds:02} left").format(minutes=minutes, seconds=left))
        return "   ".join(parts)
