"""What the workshop did, line by line: nothing in it is ever changed, and everything else is worked out from it.

The service and the workshop's commands write to the same file, each while it holds the file's lock; whoever holds it
knows all that was written before. An answer leaves the service only after its line is on the disk.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.enrolling.faults import WorkshopError
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "ledger.jsonl"
MODE = 0o600


class LedgerError(WorkshopError):
    """The file holds a line that nobody here has written."""


@dataclass(slots=True)
class Certificate:
    """One certificate of a gateway; times are seconds since 1970."""

    serial: int
    gateway: str
    key: str  # SHA-256 of the public key
    until: int
    claim: str
    revoked: int | None = None
    reason: str = ""

    def counts(self, now: float) -> bool:
        """Return whether a broker takes it."""
        return self.revoked is None and now < self.until


@dataclass(slots=True)
class Made:
    """A claim that the workshop made."""

    gateway: str
    until: int
    replaces: bool
    used_by: str = ""  # SHA-256 of the public key that it was shown with
    void: bool = False  # another one was made since, or the gateway was enrolled with another, or revoked


@dataclass(slots=True)
class Standing:
    """What all lines together come to."""

    claims: dict[str, Made] = field(default_factory=dict)
    certificates: dict[int, Certificate] = field(default_factory=dict)
    revocations: int = 0  # how many times something was revoked: the number of the list

    def of(self, gateway: str, now: float) -> list[Certificate]:
        """Return the certificates of a gateway that count."""
        return [one for one in self.certificates.values() if one.gateway == gateway and one.counts(now)]

    def take(self, line: dict[str, Any]) -> None:
        """Take in one more line."""
        match line["event"]:
            case "claimed":
                self._void([one for one in self._made_for(line["gateway"]) if not one.used_by])  # one waits at a time
                self.claims[line["claim"]] = Made(line["gateway"], line["until"], line["replaces"])
            case "signed":
                self._signed(line)
            case "renewed":
                self._certificate(line)
            case "revoked":
                self._revoked(line)
            case "refused":
                pass  # it tells people who tried what, and changes nothing
            case other:
                raise LedgerError(other)

    def _signed(self, line: dict[str, Any]) -> None:
        made = self.claims[line["claim"]]
        made.used_by = line["key"]
        self._void([one for one in self._made_for(line["gateway"]) if one is not made])
        self._certificate(line)

    def _certificate(self, line: dict[str, Any]) -> None:
        serial = int(line["serial"], 16)
        self.certificates[serial] = Certificate(serial, line["gateway"], line["key"], line["until"], line["claim"])

    def _revoked(self, line: dict[str, Any]) -> None:
        self.revocations += 1
        for serial in line["serials"]:
            one = self.certificates[int(serial, 16)]
            one.revoked, one.reason = line["at"], line["reason"]
        if line["reason"] != "replaced":  # then the claim of the replacement is the one that is being used
            self._void(self._made_for(line["gateway"]))

    def _made_for(self, gateway: str) -> list[Made]:
        return [one for one in self.claims.values() if one.gateway == gateway]

    @staticmethod
    def _void(claims: list[Made]) -> None:
        for made in claims:
            made.void = True


class Ledger:
    """The open file, locked; `standing` is as of now."""

    def __init__(self, descriptor: int, standing: Standing) -> None:
        self.standing = standing
        self._descriptor = descriptor

    def write(self, at: float, event: str, **about: Any) -> None:  # noqa: ANN401 - what JSON has a word for
        """Add a line, and return when it is on the disk; raises OSError."""
        line = {"at": int(at), "event": event, **about}
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        end = os.fstat(self._descriptor).st_size
        if os.pwrite(self._descriptor, data, end) != len(data):
            os.ftruncate(self._descriptor, end)
            raise OSError(None, _("the ledger cannot be written: is the disk full?"))
        os.fsync(self._descriptor)
        self.standing.take(line)


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """Hold the ledger in a folder while the context lasts; raises OSError and LedgerError."""
    path = folder / NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        data = _whole_lines(descriptor)
        yield Ledger(descriptor, _standing(data, path))
    finally:
        os.close(descriptor)


def _whole_lines(descriptor: int) -> bytes:
    """Return all lines; half of one, which a power cut left, is cut off: nothing was answered on the strength of it."""
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.ftruncate(descriptor, len(whole))
    return whole


def _standing(data: bytes, path: Path) -> Standing:
    standing = Standing()
    for number, line in enumerate(data.splitlines(), 1):
        try:
            standing.take(json.loads(line))
        except (ValueError, LookupError, TypeError, LedgerError):
            text = _("{path}:{line}: this line is damaged; take the file from the backup")
            raise LedgerError(text.format(path=path, line=number)) from None
    return standing
