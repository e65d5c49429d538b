"""Reads a command strictly: all of it is understood, or nothing of it is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from agent.commanding.answer import CommandError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 28 * 1024  # bytes of a payload: room for a hundred devices, in a packet that uplink/inbound.py takes
LATEST = 1e12  # seconds since 1970: beyond any calendar of ours; NaN and infinity are not less
MOST_NUMBERS = 1 << 53  # what every JSON parser keeps exactly
LONGEST_TEXT = 64  # characters of an id, or of a name


class Request(NamedTuple):
    """A command as it was sent."""

    id: str  # 1 to 64 printable ASCII characters, never used for another command
    expires: float  # seconds since 1970
    arguments: Mapping[str, Any]  # whatever else is in the object


def parse(payload: bytes) -> Request:
    """Return what a payload asks for; raises CommandError."""
    if len(payload) > LARGEST:
        raise CommandError(Reason.MALFORMED, f"larger than {LARGEST} bytes")
    try:
        fields = json.loads(payload, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CommandError(Reason.MALFORMED, f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise CommandError(Reason.MALFORMED, "not a JSON object")
    if not is_id(id_ := fields.pop("id", None)):
        text = f"id must be a text of 1 to {LONGEST_TEXT} printable ASCII characters, new for each command"
        raise CommandError(Reason.MALFORMED, text)
    if not _is_finite(expires := fields.pop("expires", None)):
        raise CommandError(Reason.MALFORMED, "expires must be a UTC in seconds since 1970")
    return Request(id_, expires, fields)


def id_of(payload: bytes) -> str | None:
    """Return the id of a payload that `parse` refuses, if it has a readable one: so that its sender knows it again."""
    try:
        fields = json.loads(payload[: LARGEST + 1])
    except (ValueError, RecursionError):
        return None
    id_ = fields.get("id") if isinstance(fields, dict) else None
    return id_ if is_id(id_) else None


def is_id(value: object) -> bool:
    """Return whether a value can be an id."""
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_TEXT and value.isascii() and value.isprintable()


class Arguments:
    """Hands out the arguments of a command one by one; each way of being wrong raises CommandError."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._rest = dict(fields)

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a short text that can be printed."""
        value = self._take(name, default)
        if not isinstance(value, str) or not value.isprintable() or len(value) > LONGEST_TEXT:
            _wrong(name, f"must be a text of at most {LONGEST_TEXT} printable characters")
        return value

    def document(self, name: str) -> str:
        """Return a text of several lines."""
        value = self._take(name, None)
        if not isinstance(value, str):
            _wrong(name, "must be a text")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self._take(name, None)
        if not isinstance(value, bool):
            _wrong(name, "must be true or false")
        return value

    def seconds(self, name: str, *, most: float, default: float | None = None, unit: str = "seconds") -> float:
        """Return a time that is neither negative nor longer than `most`."""
        value = self._take(name, default)
        if not _is_finite(value) or not 0 <= value <= most:
            _wrong(name, f"must be {unit}, from 0 to {most:g}")
        return float(value)

    def numbers(self, name: str) -> tuple[int, int]:
        """Return the first and the last of a run of numbers."""
        value = self._take(name, None)
        if not isinstance(value, list) or [type(each) for each in value] != [int, int]:
            _wrong(name, "must be the first and the last number, such as [1, 100]")
        first, last = value
        if not 0 < first <= last < MOST_NUMBERS:
            _wrong(name, "must be a run of numbers of records, which begin with 1")
        return first, last

    def has(self, name: str) -> bool:
        """Return whether an argument is there."""
        return name in self._rest

    def end(self) -> None:
        """Hold that nothing is left: what is not understood may matter."""
        if self._rest:
            _wrong(next(iter(self._rest)), "is not an argument of this command")

    def _take(self, name: str, default: object) -> Any:  # noqa: ANN401 - any JSON
        if name not in self._rest and default is None:
            _wrong(name, "is missing")
        return self._rest.pop(name, default)


def _wrong(name: str, text: str) -> NoReturn:
    raise CommandError(Reason.BAD_ARGUMENT, f"{name!r:.80} {text}")


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < LATEST


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):  # two readers may each take another one for the true one
        raise ValueError("a name stands twice")
    return fields


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
