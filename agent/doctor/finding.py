"""What a check finds: how bad it is, what is so, why that matters, and the very command that mends it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.i18n import _, retold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agent.doctor.site import Site


class Severity(StrEnum):
    """How bad it is."""

    FINE = "fine"
    UNKNOWN = "unknown"  # it could not be looked at, or has no meaning here
    WARNING = "warning"  # readings come, and may not for long, or not as good as they could be
    ERROR = "error"  # readings do not come, or do not go up


EXIT_STATUS = {Severity.FINE: 0, Severity.UNKNOWN: 0, Severity.WARNING: 1, Severity.ERROR: 2}


@dataclass(frozen=True, slots=True)
class Command:
    """A command that mends something: what is shown is what `--fix` runs, never through a shell."""

    argv: tuple[str, ...]
    safe: bool = False  # it can be taken back, and does nothing to readings: `--fix` may run it
    root: bool = True  # it needs root

    def __str__(self) -> str:
        return shlex.join(("sudo", *self.argv) if self.root else self.argv)


class Verdict(NamedTuple):
    """What one look gave."""

    severity: Severity
    what: str
    advice: str = ""  # what to do where no command does it
    commands: tuple[Command, ...] = ()


def fine(what: str) -> Verdict:
    """Return that something is as it should be."""
    return Verdict(Severity.FINE, what)


def unknown(what: str, *commands: Command, advice: str = "") -> Verdict:
    """Return that something could not be looked at."""
    return Verdict(Severity.UNKNOWN, what, advice, commands)


def warning(what: str, *commands: Command, advice: str = "") -> Verdict:
    """Return that something should be mended."""
    return Verdict(Severity.WARNING, what, advice, commands)


def error(what: str, *commands: Command, advice: str = "") -> Verdict:
    """Return that something must be mended."""
    return Verdict(Severity.ERROR, what, advice, commands)


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with the name of its check."""

    name: str  # for machines: subject.check
    severity: Severity
    what: str
    why: str
    advice: str
    commands: tuple[Command, ...]

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "check": self.name,
            "severity": self.severity.value,
            "what": self.what,
            "why": self.why,
            "advice": self.advice,
            "commands": [{"command": str(one), "safe": one.safe} for one in self.commands],
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a subject; `why` is marked for translation."""

    name: str
    why: str
    look: Callable[[Site], Iterable[Verdict]]

    def findings(self, site: Site) -> Iterator[Finding]:
        """Look. What cannot be read or run is no failure of the gateway: it is told as unknown."""
        try:
            for verdict in self.look(site):
                yield self.finding(verdict)
        except PermissionError as error:
            text = _("not permitted: {what}; look again with sudo")
            yield self.finding(unknown(text.format(what=error.filename or self.name)))
        except OSError as error:
            text = _("cannot be looked at: {file}: {error}") if error.filename else _("cannot be looked at: {error}")
            why = retold(error.strerror or str(error))
            yield self.finding(unknown(text.format(file=error.filename, error=why)))
        except (ValueError, LookupError) as error:  # a file that says something else than its kernel or program would
            text = _("what is there is not understood: {error}")
            yield self.finding(unknown(text.format(error=error)))

    def finding(self, verdict: Verdict) -> Finding:
        """Return a verdict of this check as a finding."""
        return Finding(self.name, verdict.severity, verdict.what, _(self.why), verdict.advice, verdict.commands)


def exit_status(findings: Iterable[Finding]) -> int:
    """Return what the worst of them is worth."""
    return max((EXIT_STATUS[one.severity] for one in findings), default=0)
