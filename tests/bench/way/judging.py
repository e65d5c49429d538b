"""What arrived of what was sent: lost, doubled after dedupe, out of order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from agent.receiver import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.bench.way.subscriber import Arrival


class Reading(NamedTuple):
    """One reading that arrived."""

    at: float  # when it came, seconds since 1970
    topic: str
    name: str  # device, or device/quantity
    number: float  # which of its device's, as the device said
    identity: tuple[str, str, int] | None  # epoch, stream, number; None: the sender has none, nothing can be dropped


class Verdict(NamedTuple):
    """Counts of readings."""

    sent: int
    lost: int
    doubled: int
    disordered: int


def of_agent(arrivals: Iterable[Arrival]) -> Iterator[Reading]:
    """Yield the readings in packs."""
    for at, topic, payload in arrivals:
        if not topic.endswith(("/live", "/history")):
            continue
        head, *items = unpack(payload)
        for number, item in enumerate(items, start=head["v"]):
            if "v" in item:
                yield Reading(at, topic, item["n"], item["v"], (head["epoch"], head["stream"], number))


def of_script(arrivals: Iterable[Arrival]) -> Iterator[Reading]:
    """Yield the readings of the plain script."""
    for at, topic, payload in arrivals:
        if topic.startswith("paho/"):
            said = json.loads(payload)
            yield Reading(at, topic, said["device"], said["value"], None)


def deduped(readings: Iterable[Reading]) -> list[Reading]:
    """Return them without those whose identity came before."""
    seen: set[tuple[str, str, int]] = set()
    kept = []
    for reading in readings:
        if reading.identity is None or reading.identity not in seen:
            kept.append(reading)
            if reading.identity is not None:
                seen.add(reading.identity)
    return kept


def judge(written: Mapping[str, Sequence[float]], readings: Iterable[Reading]) -> Verdict:
    """Compare what devices said with what came, each from the first of it that came on: before, nobody listened."""
    sent = lost = doubled = disordered = 0
    came: dict[str, list[Reading]] = {name: [] for name in written}
    for reading in readings:
        came[reading.name.partition("/")[0]].append(reading)
    for name, times in written.items():
        numbers = {int(one.number) for one in came[name]}
        expected = range(min(numbers, default=1), len(times) + 1)
        sent += len(expected)
        lost += len(expected) - len(numbers)
        doubled += len(came[name]) - len(numbers)
        disordered += _disordered(came[name])
    return Verdict(sent, lost, doubled, disordered)


def _disordered(readings: Sequence[Reading]) -> int:
    highest: dict[str, float] = {}
    count = 0
    for reading in readings:
        count += reading.number < highest.get(reading.topic, 0)
        highest[reading.topic] = max(reading.number, highest.get(reading.topic, 0))
    return count
