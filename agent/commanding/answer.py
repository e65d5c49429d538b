"""What becomes of a command, in words for machines and for people."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Outcome(StrEnum):
    """How a command ended."""

    DONE = "done"
    REFUSED = "refused"  # nothing was done
    FAILED = "failed"  # it was begun; the reason says what became of it
    UNKNOWN = "unknown"  # the agent ended between beginning it and noting its end


class Reason(StrEnum):
    """Why a command was not done."""

    MALFORMED = "malformed"
    UNKNOWN_COMMAND = "unknown_command"
    RESPONSE_TOPIC = "response_topic"  # not one that this gateway answers on
    NOT_SIGNED = "not_signed"
    BAD_SIGNATURE = "bad_signature"
    CANNOT_VERIFY = "cannot_verify"
    ID_USED = "id_used"  # for another command
    CLOCK_UNKNOWN = "clock_unknown"
    EXPIRED = "expired"
    TOO_FAR_AHEAD = "too_far_ahead"
    BUSY = "busy"
    BAD_ARGUMENT = "bad_argument"
    NO_SUCH_DEVICE = "no_such_device"
    NO_SUCH_ALARM = "no_such_alarm"
    INVALID_CONFIGURATION = "invalid_configuration"
    NOT_POSSIBLE = "not_possible"
    DEVICE = "device"  # it, or its port, did not do its part
    JOURNAL = "journal"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"
    DEFECT = "defect"  # of ours


class CommandError(Exception):
    """A command that is not done; `reason` says why for machines, and the message for people."""

    def __init__(self, reason: Reason, message: str, *, untouched: bool = False) -> None:
        """`untouched`: it was begun, and nothing has been done."""
        super().__init__(message)
        self.reason = reason
        self.untouched = untouched


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one command."""

    command: str
    outcome: Outcome
    id: str | None = None  # None if none could be read
    reason: Reason | None = None
    message: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    repeated: bool = False  # said before: nothing was done this time
    utc: float | None = None  # seconds since 1970, if that is known

    def json(self) -> bytes:
        """Return the payload."""
        fields: dict[str, Any] = {"id": self.id, "command": self.command, "outcome": self.outcome.value}
        if self.reason is not None:
            fields |= {"reason": self.reason.value, "message": self.message}
        if self.result:
            fields["result"] = self.result
        if self.repeated:
            fields["repeated"] = True
        if self.utc is not None:
            fields["utc"] = round(self.utc, 3)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def refusal(command: str, id_: str | None, error: CommandError) -> Answer:
    """Return the answer to a command of which nothing was done."""
    return Answer(command, Outcome.REFUSED, id_, error.reason, str(error))
