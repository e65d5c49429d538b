"""What is true of every decoder, whatever it is fed: for hypothesis, for atheris, and for what they once found."""

from __future__ import annotations

from collections import deque
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.contract import Fault, ListeningDriver, Measurement, TimeFix
from drivers.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.contract import Driver, Item
    from tests.drivers.recordings import Recording

CORPUS = Path(__file__).parent / "corpus"
MOST_KEPT = 8192  # bytes that a decoder may keep of what it was fed


def judge(recording: Recording, stream: bytes, chunks: Sequence[bytes] | None = None) -> list[Item]:
    """Feed a stream to new decoders with the recording's settings; raise AssertionError, or return what came."""
    items = recording.items([stream])
    if chunks is not None:
        assert recording.items(chunks) == items, "cut otherwise, it says something else"
    bytewise = recording.items(stream[at : at + 1] for at in range(len(stream)))
    assert bytewise == items, "byte by byte, it says something else"
    judge_items(recording.loaded, recording.settings, items, len(stream))
    return items


def judge_items(driver: Driver, settings: object, items: Sequence[Item], size: int) -> None:
    """Hold what came of so many bytes against what the driver says of itself."""
    # Its quantities are what goes up; where that is tracks, or the like, what comes of the bytes is more.
    units = QUANTITIES if isinstance(driver, ListeningDriver) and driver.timed else driver.quantities(settings)
    offsets = [item.offset for item in items if isinstance(item, Fault)]
    assert offsets == sorted(set(offsets)), f"faults that overlap or come out of order: {offsets}"
    assert all(0 <= offset < max(size, 1) for offset in offsets), f"a fault outside of {size} bytes: {offsets}"
    for item in items:
        if isinstance(item, Measurement):
            assert item.quantity in units, f"{item.quantity} is not among the driver's quantities"
            assert (item.value is None) == (item.reason is not None), f"neither value nor reason, or both: {item}"
            assert not isinstance(item.value, float) or isfinite(item.value), f"not a number: {item}"
            assert item.reason is None or item.reason in driver.reasons, f"{item.reason} is not among its reasons"
        elif isinstance(item, Fault):
            assert item.kind in driver.faults, f"{item.kind} is not among the driver's faults"
        else:
            assert isinstance(item, TimeFix)
            assert isfinite(item.utc)


def kept(thing: object) -> int:
    """Return how many bytes of text and data an object holds, with all that it is made of."""
    total, seen, open_ = 0, set(), deque([thing])
    while open_:
        one = open_.popleft()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        if isinstance(one, bytes | bytearray | str):
            total += len(one)
        elif isinstance(one, dict):
            open_ += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset | deque):
            open_ += one
        elif type(one).__module__.startswith(("drivers.", "agent.")) and not callable(one):
            open_ += _parts(one)
    return total


def _parts(thing: object) -> Iterator[object]:
    """Yield what an object has in its attributes."""
    yield from getattr(thing, "__dict__", {}).values()
    for cls in type(thing).__mro__:
        for name in getattr(cls, "__slots__", ()):
            if hasattr(thing, name):
                yield getattr(thing, name)
