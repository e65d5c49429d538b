"""A configuration on trial: it stays when the agent has delivered with it, else the one before comes back by itself.

Of the file on the gateway and what was given to the agent, that runs which came last: the file again as soon as
somebody has changed it. In the state folder lie the texts that were given, and one note, which is replaced whole: so
whatever is cut, it is the one configuration or the other.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent import logs

if TYPE_CHECKING:
    from pathlib import Path

    from agent.proof import Proof
    from agent.seams import Clock, Disk

NOTE = "configuring.json"
TEXT, SUFFIX = "given-", ".toml"
DIGITS = 16  # of a digest, enough to tell texts apart
MOST_STARTS = 3  # of the agent with a configuration on trial
MINUTES = 10.0
STEADY = 0.1  # of its minutes, for which the agent has to have run since its last start: else its starts end the trial
MOST_MINUTES = 24 * 60.0


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration that has not proved itself yet."""

    text: str  # the beginning of its digest
    minutes: float
    boot: str
    since: int  # boottime in nanoseconds
    offline: bool  # no broker was connected before: then it is not to blame if none is
    starts: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Which text runs."""

    instead_of: str  # the digest of the file when a text was given last
    stands: str = ""  # the text that proved itself, by the beginning of its digest; empty: the file
    trial: Trial | None = None
    outcome: str = ""  # of the last trial: "confirmed" or "given_up"
    tried: str = ""  # which text that was
    why: str = ""


class Trying:
    """Knows which configuration runs, and ends trials."""

    def __init__(self, state: Disk, folder: Path, path: Path, clock: Clock) -> None:
        """Take the state folder, as a disk and by its path, and the path of the file on the gateway."""
        self._state = state
        self._folder = folder
        self._path = path
        self._clock = clock
        self._started = clock.boottime()
        self._log = logs.get("config")
        self._note = self._read()

    @property
    def path(self) -> Path:
        """What is to be read: a text that was given, or the file."""
        note = self._note
        if note is None or self._is_changed(note):
            return self._path
        text = note.trial.text if note.trial is not None else note.stands
        return self._folder / _name(text) if text else self._path

    @property
    def is_on(self) -> bool:
        """Whether there is a trial."""
        return self._note is not None and self._note.trial is not None

    def start(self) -> None:
        """Count a start; with the one too many, or where it cannot be counted, the trial is over."""
        note = self._note
        if note is None:
            return
        if self._is_changed(note):
            self._log.info("configuration_of_the_file", detail="it was changed after another one was given")
            self._keep(None)
        elif (trial := note.trial) is not None:
            if trial.starts >= MOST_STARTS:
                self._give_up(note, trial, f"the agent was started {trial.starts} times with it and did not stay")
                return
            if trial.boot != self._clock.boot:  # its minutes begin anew: nobody knows how long it was off
                trial = replace(trial, boot=self._clock.boot, since=self._clock.boottime())
            if not self._keep(replace(note, trial=replace(trial, starts=trial.starts + 1))):
                self._note = replace(note, trial=None)

    def begin(self, text: str, minutes: float, *, offline: bool) -> None:
        """Put a text on trial from the next start on, in place of any other trial; raises OSError."""
        digest = _digest(text.encode())
        note = self._note if self._note is not None and not self._is_changed(self._note) else None
        if note is not None and note.trial is not None:
            offline = note.trial.offline  # a trial that broke the network does not excuse the next one
        trial = Trial(digest, minutes, self._clock.boot, self._clock.boottime(), offline)
        new = Note(self._digest_of_file(), note.stands if note is not None else "", trial)
        self._state.replace(_name(digest), text.encode())
        self._state.replace(NOTE, json.dumps(asdict(new)).encode())
        self._note = new
        self._tidy(new)
        self._log.info("configuration_on_trial", sha256=digest, minutes=minutes)

    def judge(self, shown: Proof | None) -> bool:
        """End the trial, or let it go on; returns whether the agent has to begin anew with the one before."""
        note = self._note
        if note is None or (trial := note.trial) is None:
            return False
        sound = shown is not None and shown.sampled and shown.stored
        if sound and shown is not None and shown.delivered:
            if self._clock.boottime() - self._started < STEADY * trial.minutes * 60e9:
                return False
            self._log.info("configuration_confirmed", sha256=trial.text)
            self._keep(Note(note.instead_of, trial.text, None, "confirmed", trial.text))
            return False
        if self._clock.boottime() - trial.since < trial.minutes * 60e9:
            return False
        if sound and trial.offline and shown is not None and not shown.online:
            return False
        parts = {"sampled": "sampled", "stored": "stored", "delivered": "delivered"}
        missing = next(word for name, word in parts.items() if shown is None or not getattr(shown, name))
        self._give_up(note, trial, f"it has not {missing} anything within {trial.minutes:g} min")
        return True

    def state(self) -> dict[str, Any]:
        """Return what health says of it; nothing where no configuration was ever given."""
        note = self._note
        if note is None or self._is_changed(note):
            return {}
        if note.trial is not None:
            return {"sha256": note.trial.text, "trial": "on_trial"}
        said = {"sha256": note.tried, "trial": note.outcome}
        return said | ({"why": note.why} if note.why else {}) if note.outcome else {}

    def give_up(self, why: str) -> None:
        """End the trial, if there is one: what was given does not even run."""
        if self._note is not None and self._note.trial is not None:
            self._give_up(self._note, self._note.trial, why)

    def _give_up(self, note: Note, trial: Trial, why: str) -> None:
        self._log.error("configuration_given_up", sha256=trial.text, why=why)
        self._keep(Note(note.instead_of, note.stands, None, "given_up", trial.text, why))

    def _keep(self, note: Note | None) -> bool:
        """Write down what is so now; what cannot be written is so at least for this run."""
        self._note = note
        try:
            if note is None:
                self._state.remove(NOTE)
            else:
                self._state.replace(NOTE, json.dumps(asdict(note)).encode())
            self._tidy(note)
        except OSError as error:
            self._log.error("configuring_not_noted", detail=str(error))
            return False
        return True

    def _tidy(self, note: Note | None) -> None:
        """Remove the texts that nobody needs any more."""
        needed = set() if note is None else {_name(note.stands), _name(note.trial.text if note.trial else "")}
        for name in self._state.names():
            if name.startswith(TEXT) and name.endswith(SUFFIX) and name not in needed:
                self._state.remove(name)

    def _read(self) -> Note | None:
        try:
            said = json.loads(self._state.read(NOTE))
            trial = said.pop("trial")
            note = Note(trial=None if trial is None else Trial(**trial), **said)
            if note.trial is not None and not _is_sound(note.trial):
                raise ValueError(NOTE)
            for text in (note.stands, "" if note.trial is None else note.trial.text):
                if text and _digest(self._state.read(_name(text))) != text:
                    raise ValueError(text)
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return None  # none, or one that cannot be trusted: the file runs
        return note

    def _is_changed(self, note: Note) -> bool:
        return self._digest_of_file() not in {note.instead_of, ""}

    def _digest_of_file(self) -> str:
        """Return the digest of the file; empty if it cannot be read, which is no reason to leave what works."""
        try:
            return _digest(self._path.read_bytes()) if self._path.is_file() else ""
        except OSError:
            return ""


def _is_sound(trial: Trial) -> bool:
    numbers = (trial.minutes, trial.since, trial.starts)
    return all(isinstance(one, int | float) for one in numbers) and isinstance(trial.boot, str)


def _name(text: str) -> str:
    return f"{TEXT}{text}{SUFFIX}"


def _digest(text: bytes) -> str:
    return sha256(text).hexdigest()[:DIGITS]
