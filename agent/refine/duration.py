"""Durations: seconds where people write them, nanoseconds where they are counted."""

from __future__ import annotations

SECOND = 1_000_000_000  # nanoseconds


def nanoseconds(seconds: float) -> int:
    """Return a duration in nanoseconds."""
    return round(seconds * SECOND)
