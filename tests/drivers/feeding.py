"""Feeding drivers: bytes in every way they can arrive, requests with a line that answers, and edges as time goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.contract import Fault, Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from drivers.contract import Ask, Decoder, EdgeDecoder, FaultKind, Item, Poll


def fed(decoder: Decoder, chunks: Iterable[bytes]) -> list[Item]:
    """Return all that came of these chunks."""
    return [item for chunk in chunks for item in decoder.feed(chunk)]


def decode(make: Callable[[], Decoder], data: bytes) -> list[Item]:
    """Decode whole, byte by byte and cut in two at each place; return what came, which must always be the same."""
    items = make().feed(data)
    assert fed(make(), (bytes([byte]) for byte in data)) == items
    for cut in range(1, min(len(data), 300)):
        assert fed(make(), (data[:cut], data[cut:])) == items
    return items


def measurements(items: Iterable[Item]) -> list[Measurement]:
    return [item for item in items if isinstance(item, Measurement)]


def values(items: Iterable[Item]) -> dict[str, object]:
    """Return the value, or the reason why there is none, of each quantity; the last counts."""
    return {item.quantity: item.value if item.reason is None else item.reason for item in measurements(items)}


def faults(items: Iterable[Item]) -> list[tuple[FaultKind, int]]:
    """Return kind and offset of each fault."""
    return [(item.kind, item.offset) for item in items if isinstance(item, Fault)]


def answered(poll: Poll, line: Callable[[Ask], bytes]) -> list[Item]:
    """Run a poll on a line that answers each request with bytes, which arrive one by one."""
    try:
        ask = next(poll)
        while True:
            heard = line(ask)
            answers = (ask.find(heard[:size]) for size in range(len(heard) + 1))
            ask = poll.send(next((answer for answer in answers if answer is not None), None))
    except StopIteration as stop:
        items: list[Item] = stop.value
        return items


def lived(device: EdgeDecoder, trace: str, until: float) -> list[tuple[float, Item]]:
    """Play a trace of edges, `milliseconds:level ...` at an input pulled up (0 is active), ticking whenever it is due.

    The first is the level at start. Returns what came, each with the second at which it came.
    """
    steps = [(float(at) / 1000, level == "0") for at, level in (step.split(":") for step in trace.split())]
    (start, level), *edges = steps
    came = [(start, item) for item in device.start(start, level)]
    for at, active in [*edges, (until, None)]:
        while (due := device.due()) is not None and due <= at:
            came += [(due, item) for item in device.tick(due)]
        if active is not None:
            came += [(at, item) for item in device.edge(at, active)]
    return [(round(at, 4), item) for at, item in came]
