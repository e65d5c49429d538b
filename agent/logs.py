"""Structured logs on the standard library: one line an event, for a person on a terminal or for journald.

    log = logs.get("sampler")
    log.warning("port_lost", device="air-1", fault="unplugged")

becomes `<4>port_lost device=air-1 fault=unplugged` under systemd. No text of a device or a broker can break a line or
reach a terminal raw.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

ROOT = "roadside"
INTERVALS = (60.0, 600.0, 3600.0)  # seconds until a trouble that lasts is told again; the last one repeats
QUEUED_LINES = 1000  # that wait while the reader stalls
LONGEST_VALUE = 2000  # characters; a line must fit into journald's own limit of a line

# A command that has not asked for events shows none: without this Python prints the bare names of some by itself.
logging.getLogger(ROOT).addHandler(logging.NullHandler())

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))


class Log:
    """Where one part of the agent tells its events: a name in snake_case, and fields."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: object) -> None:
        """Tell what only a developer wants to know."""
        self._tell(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Tell what is as it should be."""
        self._tell(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Tell what is not as it should be, while the agent goes on."""
        self._tell(logging.WARNING, event, fields)

    def error(self, event: str, /, *, trace: BaseException | None = None, **fields: object) -> None:
        """Tell what somebody must mend; `trace` adds where an exception came from."""
        self._tell(logging.ERROR, event, fields, trace)

    def _tell(self, level: int, event: str, fields: Mapping[str, object], trace: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", event, extra={"event": event, "fields": fields}, exc_info=trace)


def get(name: str) -> Log:
    """Return the log of one part of the agent."""
    return Log(logging.getLogger(f"{ROOT}.{name}"))


def install(handler: logging.Handler, level: int = logging.INFO) -> None:
    """Hand the agent's events to a handler, and what libraries warn of; replaces what was installed before."""
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)  # libraries
    logging.getLogger(ROOT).setLevel(level)
    logging.captureWarnings(capture=True)


def for_people(stream: TextIO) -> logging.Handler:
    """Return a handler that writes lines for a person on a terminal."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TerminalFormatter())
    return handler


def for_journald(stream: TextIO) -> logging.Handler:
    """Return a handler that writes lines for journald, to the stream that it reads."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JournalFormatter())
    return handler


@contextmanager
def in_background() -> Iterator[None]:
    """Have lines written by a thread while the context lasts: a reader that stalls must not stall whoever logs.

    Lines that do not fit into the queue meanwhile are dropped, and counted in a line of their own afterwards.
    """
    root = logging.getLogger()
    direct = root.handlers[:]
    lines: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
    queued = _Queued(lines)
    listener = QueueListener(lines, *direct)
    root.handlers[:] = [queued]
    listener.start()
    try:
        yield
    finally:
        root.handlers[:] = direct
        if lines.qsize() < QUEUED_LINES:
            listener.stop()  # waits until all is written; a reader that stalls now is left behind


class _Queued(QueueHandler):
    """Puts records into a queue as they are; the listener's handlers format them."""

    def __init__(self, lines: SimpleQueue[logging.LogRecord | None]) -> None:
        super().__init__(lines)
        self._lines = lines
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record itself: it stays in this process."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put it into the queue, unless nobody reads."""
        if self._lines.qsize() >= QUEUED_LINES:
            self._dropped += 1
            return
        if self._dropped:
            record.__dict__["fields"] = {**record.__dict__.get("fields", {}), "lines_dropped": self._dropped}
            self._dropped = 0
        self._lines.put(record)


def under_journald(environment: Mapping[str, str], stream: Path = Path("/dev/stderr")) -> bool:
    """Return whether a stream of this process is the journal's own socket (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        status = stream.stat()
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class JournalFormatter(logging.Formatter):
    """`<4>event key=value`: journald takes the priority and adds the time itself (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        return f"<{priority(record)}>{line(record)}"


class TerminalFormatter(logging.Formatter):
    """`12:34:56 warning  event key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        return f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():<8} {line(record)}"


def priority(record: logging.LogRecord) -> int:
    """Return the priority of syslog(3): 3 error, 4 warning, 6 information, 7 for developers."""
    return next(number for level, number in _PRIORITIES if record.levelno >= level)


def event(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """Return the name of an event and its fields; a library's own words are the event `library`."""
    fields: dict[str, object] = {"name": record.name, "message": record.getMessage()}
    name: str | None = getattr(record, "event", None)
    if name is not None:
        fields = {key: value for key, value in getattr(record, "fields", {}).items() if value is not None}
    if record.exc_info and record.exc_info[1]:
        fields["trace"] = logging.Formatter().formatException(record.exc_info)
    return name or "library", fields


def line(record: logging.LogRecord) -> str:
    """Return an event as one line: `port_lost device=air-1 fault=unplugged`."""
    name, fields = event(record)
    return " ".join([name, *(f"{key}={_value(value)}" for key, value in fields.items())])


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if len(text) > LONGEST_VALUE:
        text = text[:LONGEST_VALUE] + "..."
    if text and text.isprintable() and not any(character in ' "=' for character in text):
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in json.dumps(text, ensure_ascii=False))


class Spell(NamedTuple):
    """A trouble that is over."""

    times: int  # how often it occurred since it was last told of
    lasted: float  # seconds from its first occurrence


@dataclass(slots=True)
class _Trouble:
    first: float
    told: float
    interval: int = 0
    untold: int = 0
    open: bool = True


@dataclass(slots=True)
class Repeats:
    """Keeps a trouble that lasts from flooding the log: told at once, then at growing intervals with a count.

        if times := repeats.again(("air-1", fault), now):
            log.warning("port_lost", device="air-1", fault=fault, times=times)
        ...
        if spell := repeats.well(("air-1", fault), now):
            log.info("port_back", device="air-1", times=spell.times, lasted=spell.lasted)

    A trouble that comes and goes quickly is one trouble: it is told of no more often than one that stays.
    """

    _troubles: dict[Hashable, _Trouble] = field(default_factory=dict)

    def again(self, key: Hashable, now: float) -> int:
        """Count an occurrence (`now` in seconds of any clock that never steps); return the count to tell, or 0."""
        trouble = self._troubles.get(key)
        if trouble is None:
            self._troubles[key] = _Trouble(first=now, told=now)
            return 1
        if not trouble.open and now - trouble.told >= INTERVALS[-1]:
            self._troubles[key] = _Trouble(first=now, told=now)
            return 1
        trouble.untold += 1
        if now - trouble.told < INTERVALS[trouble.interval]:
            return 0
        times, trouble.untold = trouble.untold, 0
        trouble.told, trouble.open = now, True
        trouble.interval = min(trouble.interval + 1, len(INTERVALS) - 1)
        return times

    def well(self, key: Hashable, now: float) -> Spell | None:
        """Return what to tell of a trouble that is over, or None if there is nothing to tell."""
        trouble = self._troubles.get(key)
        if trouble is None or not trouble.open:
            return None
        trouble.open = False
        times, trouble.untold = trouble.untold, 0
        return Spell(times, now - trouble.first)
