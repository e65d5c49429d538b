"""Whether a command comes at its time. Without knowing the time nobody can tell, and nothing is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commanding.answer import CommandError, Reason

if TYPE_CHECKING:
    from agent.timekeeper import Dated

MOST_UNCERTAIN = 60.0  # seconds: a clock that is known less well does not tell a fresh command from a stale one
LONGEST_AHEAD = 900.0  # seconds: a command is for now, and its id has to be remembered for so long


def check(expires: float, now: Dated | None) -> float:
    """Return the UTC in seconds if a command that expires then may be executed now; raises CommandError."""
    if now is None or now.uncertainty > MOST_UNCERTAIN:
        raise CommandError(Reason.CLOCK_UNKNOWN, "this gateway does not know the time of day; nothing was done")
    utc = now.utc / 1e9
    if utc + now.uncertainty >= expires:
        text = "it has expired, and was not begun as far as this gateway remembers; check the sender's clock"
        raise CommandError(Reason.EXPIRED, text)
    if expires > utc + now.uncertainty + LONGEST_AHEAD:
        text = f"expires must be within {LONGEST_AHEAD:g} s from now; check the sender's clock"
        raise CommandError(Reason.TOO_FAR_AHEAD, text)
    return utc
