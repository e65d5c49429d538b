"""What a power cut took, and whether it was allowed to: by what was seen from outside before it and came up after it.

Nothing here is the agent's word alone. What it said before the cut binds it (`Poll`: how many commits it has made, and
how far its numbers went); what it says after the cut is the claim that is held against what the city got.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hil.packs import Alarm, Received, Statement

COMMIT_INTERVAL = 10.0  # seconds: the declared window, docs/promises.md
# What a machine that is ten times as slow as a Pi may take beside, and as long again as it took to answer a poll: on a
# host that has other work it stands still for seconds.
COMMIT_UNDER_WAY = 5.0  # seconds for a commit, and for a frame's way from the host into the journal
ALARM_ON_ITS_WAY = 5.0  # seconds from a press to a sync on the card
PAIRED_WITHIN = 3.0  # seconds between an emission and the time of its reading
STATED = frozenset({"dropped", "damaged", "skipped"})


@dataclass(frozen=True, slots=True)
class Poll:
    """What the agent said of its journal at a moment before the cut."""

    asked: float  # seconds since 1970
    at: float
    epoch: str
    next: Mapping[str, int]  # by stream
    commits: int


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was seen of one cut. Times are of the host, in seconds since 1970."""

    cut_at: float
    frames: Sequence[tuple[int, float]]  # millimetres and when, of what could be heard
    presses: Sequence[float]
    polls: Sequence[Poll]
    received: Sequence[Received]
    alarms: Sequence[Alarm]
    statements: Sequence[Statement]
    numbers: Mapping[tuple[str, str], frozenset[int]]  # by epoch and stream: what arrived, of any kind


@dataclass(slots=True)
class Verdict:
    """What came of a cut; clean if `faults` is empty."""

    frames: int = 0
    presses: int = 0
    promised: int = 0  # numbers that the agent had committed for certain
    lost_frames: int = 0
    lost_presses: int = 0
    lag: float = 0.0  # seconds that the machine took at most to answer
    window: float = 0.0  # seconds before the cut at which the earliest lost frame was said
    alarm_window: float = 0.0  # likewise, of presses
    doubled: int = 0
    misdated: int = 0
    faults: list[str] = field(default_factory=list)


def committed(polls: Sequence[Poll]) -> Mapping[tuple[str, str], int]:
    """Return by epoch and stream below which number everything was on the card at the last poll.

    Whatever had its number when a poll was answered is in the second commit that ends after it, at the latest: the
    first may have begun before.
    """
    bounds: dict[tuple[str, str], int] = {}
    for poll in polls:
        last = max(one.commits for one in polls if one.epoch == poll.epoch)
        if last >= poll.commits + 2:
            for stream, number in poll.next.items():
                key = poll.epoch, stream
                bounds[key] = max(bounds.get(key, 0), number)
    return bounds


def judge(seen: Seen) -> Verdict:
    """Judge one cut."""
    verdict = Verdict(frames=len(seen.frames), presses=len(seen.presses), lag=_lag(seen))
    _numbers(seen, verdict)
    _frames(seen, verdict)
    _presses(seen, verdict)
    return verdict


def _lag(seen: Seen) -> float:
    """Return how long the machine took at most to answer, an answer that the cut came before included."""
    unanswered = [seen.cut_at - poll.at for poll in seen.polls[-1:]]
    return max([*(poll.at - poll.asked for poll in seen.polls), *unanswered], default=0.0)


def _numbers(seen: Seen, verdict: Verdict) -> None:
    stated: dict[tuple[str, str], set[int]] = {}
    ended: dict[tuple[str, str], int] = {}
    for one in seen.statements:
        key = one.of_epoch, one.of_stream
        if one.kind in STATED:
            stated.setdefault(key, set()).update(range(one.first, one.last + 1))
        elif one.kind == "lost":
            ended[key] = min(one.first, ended.get(key, one.first))
    bounds = committed(seen.polls)
    for key in sorted({(poll.epoch, stream) for poll in seen.polls for stream in poll.next}):
        got = seen.numbers.get(key, frozenset()) | stated.get(key, set())
        bound = bounds.get(key, 0)
        verdict.promised += max(0, bound - 1)
        if broken := _missing(got, bound):
            verdict.faults.append(f"{key[1]} {_runs(broken)} had been committed and did not arrive")
        used = max((poll.next.get(key[1], 1) for poll in seen.polls if poll.epoch == key[0]), default=1)
        if key not in ended and (unsaid := _missing(got, used)):
            verdict.faults.append(f"{key[1]} {_runs(unsaid)} did not arrive, and the ledger does not say so")
        elif key in ended and (unsaid := _missing(got, ended[key])):
            verdict.faults.append(f"{key[1]} {_runs(unsaid)} did not arrive, and the ledger says from {ended[key]} on")


def _missing(got: Iterable[int], below: int) -> list[int]:
    return sorted(set(range(1, below)) - set(got))


def _runs(numbers: Sequence[int]) -> str:
    return f"{numbers[0]} to {numbers[-1]} ({len(numbers)})" if len(numbers) > 1 else str(numbers[0])


def _frames(seen: Seen, verdict: Verdict) -> None:
    """Match frames by their value: each is said once in a life."""
    arrived: dict[int, list[Received]] = {}
    for one in seen.received:
        if one.device == "level-1" and isinstance(one.value, int | float):
            arrived.setdefault(round(one.value * 1000), []).append(one)
    lost = []
    for millimetres, at in seen.frames:
        readings = arrived.get(millimetres, [])
        if not readings:
            lost.append(at)
        elif len(readings) > 1:
            verdict.doubled += 1
        elif not _dated_right(readings[0], at, verdict.lag):
            verdict.misdated += 1
    verdict.lost_frames = len(lost)
    verdict.window = max((seen.cut_at - at for at in lost), default=0.0)
    if verdict.window > COMMIT_INTERVAL + COMMIT_UNDER_WAY + verdict.lag:
        verdict.faults.append(f"a frame was lost that had been said {verdict.window:.1f} s before the cut")
    if verdict.doubled:
        verdict.faults.append(f"{verdict.doubled} frames came up as two readings each")
    if verdict.misdated:
        verdict.faults.append(f"{verdict.misdated} readings have a wrong time")


def _dated_right(reading: Received, said: float, lag: float) -> bool:
    """Tell whether a reading's time is right: by as much as the machine may have stood still it hears a frame later."""
    return reading.utc is not None and abs(reading.utc - said) <= PAIRED_WITHIN + lag + reading.uncertainty


def _presses(seen: Seen, verdict: Verdict) -> None:
    raised = [one.utc for one in seen.alarms if one.device == "panic-1" and one.raised and one.utc is not None]
    lost = unpaired(seen.presses, raised, PAIRED_WITHIN + verdict.lag)
    verdict.lost_presses = len(lost)
    verdict.alarm_window = max((seen.cut_at - at for at in lost), default=0.0)
    if verdict.alarm_window > ALARM_ON_ITS_WAY + verdict.lag:
        verdict.faults.append(f"an alarm was lost whose button was pressed {verdict.alarm_window:.1f} s before the cut")


def unpaired(presses: Iterable[float], alarms: Iterable[float], within: float) -> list[float]:
    """Return the presses that are left when each alarm answers one of them, the oldest of what may be left.

    Both are in order, and pairs may be no further apart than `within` seconds: pairing from the last one backwards
    then leaves as few as can be.
    """
    left, free = [], sorted(alarms)
    for press in sorted(presses, reverse=True):
        while free and free[-1] > press + within:
            free.pop()
        if free and free[-1] >= press - within:
            free.pop()
        else:
            left.append(press)
    return left
