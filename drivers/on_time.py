"""How long an output stays on: never longer than it may, whoever asked for it."""

from dataclasses import dataclass


@dataclass(slots=True)
class OnTime:
    """What an output shall be. Times are seconds on any clock that never steps.

    Asking for "on" while it is on does not prolong it, unless a time is given: that counts from then on. Asking after
    it has gone off by itself switches it on again.
    """

    longest: float  # seconds
    off_at: float | None = None  # None while it is off

    @property
    def on(self) -> bool:
        """Whether it shall be on."""
        return self.off_at is not None

    def set(self, at: float, on: bool, lasting: float | None = None) -> None:
        """Ask for a state, perhaps for so many seconds."""
        if not on:
            self.off_at = None
        elif lasting is not None or not self.on:
            self.off_at = at + (self.longest if lasting is None else min(lasting, self.longest))

    def tick(self, at: float) -> None:
        """Let time pass: the longest time may be over."""
        if self.off_at is not None and at >= self.off_at:
            self.off_at = None
