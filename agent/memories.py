"""Reads what an earlier run kept across a restart, perhaps of another version: it is of the right shape, or refused.

Every function takes any JSON value and raises ValueError if that is not what this version keeps.
"""

from __future__ import annotations

from typing import TypeGuard

from agent.readings import Anchor

LARGEST = 1 << 63  # nanoseconds: no instant and no duration is longer


def read_anchors(kept: object) -> list[Anchor]:
    """Return anchors from rows of boot, boottime, UTC, uncertainty and source."""
    anchors = []
    for row in _rows(kept):
        match row:
            case [str(boot), int(at), int(utc), int() | float() as uncertainty, str(source)] if (
                _is_instant(at) and _is_instant(utc) and 0 <= uncertainty < LARGEST
            ):
                anchors.append(Anchor(boot, at, utc, uncertainty, source))
            case _:
                raise ValueError(f"not an anchor: {row!r:.80}")
    return anchors


def read_boots(kept: object) -> list[tuple[str, int]]:
    """Return boots, each with the last boottime that is known of it."""
    boots = []
    for row in _rows(kept):
        match row:
            case [str(boot), int(seen)] if _is_instant(seen):
                boots.append((boot, seen))
            case _:
                raise ValueError(f"not a boot: {row!r:.80}")
    return boots


def read_numbers(kept: object) -> dict[str, float]:
    """Return finite numbers by name: what a driver keeps."""
    if not isinstance(kept, dict) or not all(map(_is_number, kept.values())):
        raise ValueError(f"not numbers by name: {kept!r:.80}")
    return kept


def read_settled(kept: object) -> dict[str, dict[str, int]]:
    """Return numbers by epoch and stream: what an import has settled."""
    if not isinstance(kept, dict):
        raise ValueError(f"not numbers by epoch: {kept!r:.80}")
    for by_stream in kept.values():
        if not isinstance(by_stream, dict) or not all(isinstance(number, int) for number in by_stream.values()):
            raise ValueError(f"not numbers by stream: {by_stream!r:.80}")
    return {epoch: dict(by_stream) for epoch, by_stream in kept.items()}


def read_ranges(kept: object) -> dict[str, dict[str, list[list[int]]]]:
    """Return runs of numbers, each a first and a last, by epoch and stream: what an import could not read."""
    if not isinstance(kept, dict):
        raise ValueError(f"not ranges by epoch: {kept!r:.80}")
    for by_stream in kept.values():
        if not isinstance(by_stream, dict) or not all(map(_are_ranges, by_stream.values())):
            raise ValueError(f"not ranges by stream: {by_stream!r:.80}")
    return kept


def _are_ranges(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, list) and len(one) == 2 and all(type(n) is int for n in one) and 0 < one[0] <= one[1]
        for one in value
    )


def _rows(kept: object) -> list[object]:
    if not isinstance(kept, list):
        raise ValueError(f"not rows: {kept!r:.80}")
    return kept


def _is_instant(value: int) -> bool:
    return 0 <= value < LARGEST


def _is_number(value: object) -> TypeGuard[float]:
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < LARGEST  # NaN is not
