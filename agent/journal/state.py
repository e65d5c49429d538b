"""What the journal knows besides the records themselves: epoch, numbers, progress, and values kept across restarts."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.journal.ranges import Ranges
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

Key = tuple[str, Stream]  # an epoch and one of its streams
LEDGERED = ""  # stands for an uplink: the numbers that the ledger accounts for, which nobody will ever be given
IDENTITY = "journal"  # kept: the first epoch that a journal had, which tells it and its copies from all others


@dataclass(slots=True)
class State:
    """All that the journal knows. Ranges are of numbers within one epoch and stream."""

    epoch: str
    boot: str
    next: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(Stream, 1))
    done: dict[str, dict[Key, Ranges]] = field(default_factory=dict)  # by uplink
    resent: dict[str, int] = field(default_factory=dict)  # by uplink: how often marks of delivery were taken off
    kept: dict[str, Any] = field(default_factory=dict)
    keeps: int = 0  # how often a value was kept in this epoch: tells which of two memories is the newer one
    clean: bool = False  # the agent stopped in order after this
    blind: bool = False  # what a power cut took before this epoch has not been stated: the card could not be read

    def done_by(self, uplink: str, key: Key) -> Ranges:
        """Return what an uplink has delivered, to be added to."""
        by_key = self.done.setdefault(uplink, {})
        if key not in by_key:
            by_key[key] = Ranges()
        return by_key[key]

    def take_over(self, other: State) -> None:
        """Take over what another state knows of what is delivered, and of the numbers that are used.

        Not its marks of delivery, if they are from before some were taken off: what is sent twice does no harm.
        """
        for uplink, by_key in other.done.items():
            mine, others = self.resent.get(uplink, 0), other.resent.get(uplink, 0)
            if others < mine:
                continue
            if others > mine:
                self.resent[uplink], self.done[uplink] = others, {}
            self.done.setdefault(uplink, {})
            for key, ranges in by_key.items():
                self.done_by(uplink, key).update(ranges)
        if other.epoch == self.epoch:
            for stream, number in other.next.items():
                self.next[stream] = max(self.next[stream], number)

    def keep(self, key: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        """Keep a value; None forgets it, and while `blind`, also one that the card may turn out to have."""
        self.keeps += 1
        if value is None and not self.blind:
            self.kept.pop(key, None)
        else:
            self.kept[key] = value

    def forget(self, key: Key) -> None:
        """Forget what was done of an epoch that nothing is left of."""
        for by_key in self.done.values():
            by_key.pop(key, None)

    def forget_all_but(self, keys: AbstractSet[Key], epochs: AbstractSet[str]) -> None:
        """Forget what was done of all that is neither among the keys nor of the epochs."""
        for key in {key for by_key in self.done.values() for key in by_key}:
            if key not in keys and key[0] not in epochs:
                self.forget(key)

    def take_back(self, key: Key, ranges: Iterable[tuple[int, int]]) -> None:
        """Take numbers back that the ledger gave up: they are here after all, and will come."""
        given_up = self.done.get(LEDGERED, {}).get(key)
        if given_up is not None:
            for first, last in ranges:
                given_up.remove(first, last)

    def accounted_by(self, uplink: str, key: Key) -> Ranges:
        """Return what one uplink has delivered or the ledger has given up."""
        return Ranges([*self.done.get(uplink, {}).get(key, ()), *self.done.get(LEDGERED, {}).get(key, ())])

    def snapshot(self) -> bytes:
        """Return the whole state as bytes."""
        return encode(self._progress() | {"kept": self.kept})

    def progress(self, *, clean: bool = False) -> bytes:
        """Return the whole state but the kept values as bytes."""
        return encode(self._progress() | {"clean": clean})

    def _progress(self) -> dict[str, Any]:
        done: dict[str, dict[str, dict[str, list[list[int]]]]] = {}
        for uplink, by_key in self.done.items():
            by_epoch = done.setdefault(uplink, {})
            for (epoch, stream), ranges in by_key.items():
                by_epoch.setdefault(epoch, {})[stream.value] = [list(one) for one in ranges]
        return {
            "epoch": self.epoch,
            "boot": self.boot,
            "next": {stream.value: number for stream, number in self.next.items()},
            "done": done,
            "resent": self.resent,
            "keeps": self.keeps,
            "blind": self.blind,
        }


def encode(fields: dict[str, Any]) -> bytes:
    """Return a JSON object, deflated."""
    return zlib.compress(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode(), 1)


def decode(data: bytes) -> dict[str, Any]:
    """Return the JSON object; raises ValueError if there is none."""
    try:
        fields = json.loads(zlib.decompress(data))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    return fields


def restore(data: bytes) -> State:
    """Return what `snapshot` or `progress` held; raises ValueError if this is neither."""
    fields = decode(data)
    try:
        state = State(epoch=fields["epoch"], boot=fields["boot"])
        state.kept = dict(fields.get("kept", {}))
        state.keeps = int(fields.get("keeps", 0))
        state.clean, state.blind = bool(fields.get("clean", False)), bool(fields["blind"])
        state.resent = {uplink: int(count) for uplink, count in fields["resent"].items()}
        state.next |= {Stream(stream): int(number) for stream, number in fields["next"].items()}
        for uplink, by_epoch in fields["done"].items():
            state.done[uplink] = {}
            for epoch, by_stream in by_epoch.items():
                for stream, ranges in by_stream.items():
                    state.done[uplink][epoch, Stream(stream)] = Ranges(ranges)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        message = f"not a state: {error!r}"
        raise ValueError(message) from error
    return state
