"""Which commands were begun and how they ended: so that one delivered twice is executed once, whatever restarts.

Each entry has a slot of its own in what the journal keeps; a slot is free again some time after its command expired. An
id is never forgotten while its command could still be executed: when all slots are taken, new commands are refused.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.commanding.answer import Answer, CommandError, Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.commanding.request import Request

SLOTS = 64
MARGIN = 60.0  # seconds beyond the expiry during which a repeated command still gets its own answer


_OUTCOMES = frozenset(one.value for one in Outcome)
_REASONS = frozenset([None, *(one.value for one in Reason)])


class Entry(NamedTuple):
    """One command."""

    id: str
    expires: float
    digest: str  # of command and payload
    outcome: str = Outcome.UNKNOWN.value  # until its end is noted
    reason: str | None = Reason.INTERRUPTED.value
    message: str = "the agent ended while it did this: it may have been done, or not"


class Memory:
    """Remembers commands through the journal's `keep` and `kept`."""

    def __init__(self, keep: Callable[[str, Any], None], kept: Callable[[str], Any]) -> None:
        self._keep = keep
        self._entries: dict[int, Entry] = {}
        for slot in range(SLOTS):
            entry = _entry(kept(_key(slot)))
            if entry is not None:
                self._entries[slot] = entry

    def recall(self, request: Request, command: str, payload: bytes) -> Answer | None:
        """Return how a command ended that was begun before; None if it was not. Raises CommandError."""
        entry = next((entry for entry in self._entries.values() if entry.id == request.id), None)
        if entry is None:
            return None
        if entry.digest != digest(command, payload):
            raise CommandError(Reason.ID_USED, "this id was that of another command; each needs one of its own")
        reason = None if entry.reason is None else Reason(entry.reason)
        return Answer(command, Outcome(entry.outcome), request.id, reason, entry.message, repeated=True)

    def begin(self, request: Request, command: str, payload: bytes, now: float) -> None:
        """Note that a command is about to be executed, at a UTC in seconds; raises CommandError."""
        slot = self._free_slot(now)
        if slot is None:
            text = f"{SLOTS} commands that have not expired yet are remembered; send fewer, or let them expire sooner"
            raise CommandError(Reason.BUSY, text)
        self._put(slot, Entry(request.id, request.expires, digest(command, payload)))

    def end(self, answer: Answer) -> None:
        """Note how it ended."""
        slot = next(slot for slot, entry in self._entries.items() if entry.id == answer.id)
        reason = None if answer.reason is None else answer.reason.value
        entry = self._entries[slot]._replace(outcome=answer.outcome.value, reason=reason, message=answer.message)
        self._put(slot, entry)

    def _free_slot(self, now: float) -> int | None:
        def is_free(slot: int) -> bool:
            return slot not in self._entries or now > self._entries[slot].expires + MARGIN

        return next(filter(is_free, range(SLOTS)), None)

    def _put(self, slot: int, entry: Entry) -> None:
        self._entries[slot] = entry
        self._keep(_key(slot), list(entry))


def _entry(kept: object) -> Entry | None:
    """Return what was kept; None if that is nothing, or of another shape."""
    match kept:
        case [str(id_), (int() | float()) as expires, str(done), str(outcome), (str() | None) as reason, str(message)]:
            if outcome in _OUTCOMES and reason in _REASONS:
                return Entry(id_, expires, done, outcome, reason, message)
    return None


def digest(command: str, payload: bytes) -> str:
    """Return what tells one command from another that has the same id."""
    return blake2b(command.encode() + b"\n" + payload, digest_size=8).hexdigest()


def _key(slot: int) -> str:
    return f"command/{slot}"
