"""What a metered link may carry in a day, and who goes first when that runs short.

The day is any 24 hours in a row, not one of a calendar: what holds for each of them holds for every day in every time
zone, and needs no clock that is right. Bytes are counted by the hour; an hour's bytes count until all of it is 24 hours
past. History waits first: it gets what the last hours say that live readings will leave. Then live readings wait, in
the journal. Alarms always go, also when their reserve is used up: a lost warning costs more than a kilobyte.

What a connection costs by itself, measured on the loopback with TLS: 2.7 kB to connect (longer chains of certificates
cost more) and 204 bytes a keepalive, which is 0.6 MB a day at `keepalive = "30 s"` where nothing else is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.uplink.broker import LinkFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.seams import Clock

HOUR = 3600 * 10**9  # nanoseconds
HOURS = 24
LARGEST = 1 << 63
KEEP_EVERY = 16 * 1024  # bytes: what a crash may leave uncounted
MESSAGE = 200  # bytes that a message costs besides its payload: topic, properties, TLS, IP, and its acknowledgement
LOOK_EVERY = 60.0  # seconds between looks at what keepalives have cost, and whether an hour has passed
DOCUMENTS_EVERY = 900.0  # seconds between two health documents over a metered link ...
DOCUMENTS_SELDOM = 3600.0  # ... and while readings wait
LESS_OFTEN = 10.0  # times longer waits before attempts to connect while even the reserve is used up

# Bytes that an attempt costs which ended before there was a link to measure: a few SYNs, or a whole handshake of TLS
_UNANSWERED = 300
_ANSWERED = 7_000
_ATTEMPTS = {LinkFault.UNREACHABLE: _UNANSWERED, LinkFault.TIMED_OUT: _UNANSWERED, LinkFault.SECRET: 0}


class Expense(Enum):
    """What bytes are spent on."""

    URGENT = auto()  # always
    ANSWER = auto()  # of the reserve, too: somebody is asking
    TELEMETRY = auto()
    HISTORY = auto()


class BudgetState(StrEnum):
    """Who waits."""

    AMPLE = "ample"
    HISTORY_WAITS = "history_waits"
    READINGS_WAIT = "readings_wait"
    EXCEEDED = "exceeded"  # alarms alone go, beyond the limit


class Account(NamedTuple):
    """How much of a budget is used."""

    used: int  # bytes in the last 24 hours, up to 25
    limit: int
    reserve: int  # of the limit, for alarms
    state: BudgetState


@dataclass(slots=True)
class _Hour:
    began: int  # boottime, nanoseconds; less than none for a boot before this one
    other: int = 0  # bytes
    history: int = 0

    @property
    def bytes(self) -> int:
        return self.other + self.history


class _Before(NamedTuple):
    """What is known of the time between the boot before this one and this."""

    utc: int  # nanoseconds, when the hours were kept
    at: int  # the instant of this boot that has been taken for it


class Budget:
    """The bytes of one uplink in any 24 hours."""

    def __init__(
        self, limit: int, reserve: int, clock: Clock, *, utc: Callable[[], int | None], keep: Callable[[Any], None]
    ) -> None:
        """Take the limit with the reserve in it, both in bytes.

        `utc` returns nanoseconds since 1970, None while they are not known; `keep` what `recall` gets after a restart.
        """
        self._limit = limit
        self._reserve = reserve
        self._share = limit - reserve
        self._clock = clock
        self._utc = utc
        self._keep = keep
        self._hours: list[_Hour] = []  # oldest first
        self._recalled_at = -LARGEST  # no hour goes on over a reboot: how long that took may turn out later
        self._before: _Before | None = None
        self._seen = 0  # bytes of this connection
        self._sent_history = 0  # bytes sent, and not seen on the wire yet
        self._unkept = 0

    def recall(self, kept: object) -> None:
        """Take up what an earlier run had kept; raises ValueError, and takes nothing then.

        After a reboot no time has passed for the budget until both ends of the pause are dated.
        """
        now = self._clock.boottime()
        match kept:
            case {"boot": str(boot), "at": int(at), "utc": int() | None as utc, "hours": list(rows)} if _is_time(at):
                same = boot == self._clock.boot
                shift = 0 if same else now - at
                hours = [_hour(row, shift, now) for row in rows]
            case _:
                raise ValueError(f"not a budget: {kept!r:.80}")
        self._hours = sorted(hours, key=lambda hour: hour.began)
        if not same:
            self._recalled_at = now
            self._before = None if utc is None else _Before(utc, now)

    def begin(self) -> None:
        """There is a new connection, whose bytes are counted from none."""
        self._seen = self._sent_history = 0

    def measured(self, total: int) -> None:
        """So many bytes have gone over this connection so far, both ways."""
        self._spend(total - self._seen)
        self._seen = max(self._seen, total)

    def failed(self, fault: LinkFault) -> None:
        """An attempt to connect came to nothing."""
        self._spend(_ATTEMPTS.get(fault, _ANSWERED))

    def sent(self, expense: Expense, size: int) -> None:
        """A payload of so many bytes is on its way."""
        if expense is Expense.HISTORY:
            self._sent_history += size + MESSAGE

    def allows(self, expense: Expense, in_flight: int = 0) -> bool:
        """Return whether a message may be sent while so many bytes are on their way; it may be the last."""
        if expense is Expense.URGENT:
            return True
        used = self._used() + in_flight
        if expense is Expense.ANSWER:
            return used < self._limit
        if expense is Expense.TELEMETRY or used >= self._share:
            return used < self._share
        history = sum(hour.history for hour in self._hours) + self._sent_history
        return history + self._expected() < self._share

    def account(self) -> Account:
        """Return how much is used, and who waits."""
        used = self._used()
        if used >= self._limit:
            state = BudgetState.EXCEEDED
        elif not self.allows(Expense.TELEMETRY):
            state = BudgetState.READINGS_WAIT
        elif not self.allows(Expense.HISTORY):
            state = BudgetState.HISTORY_WAITS
        else:
            state = BudgetState.AMPLE
        return Account(used, self._limit, self._reserve, state)

    @property
    def documents_every(self) -> float:
        """Seconds between two documents about the gateway."""
        return DOCUMENTS_EVERY if self.allows(Expense.TELEMETRY) else DOCUMENTS_SELDOM

    @property
    def patience(self) -> float:
        """How many times longer to wait before an attempt to connect."""
        return LESS_OFTEN if self._used() >= self._limit else 1.0

    def _expected(self) -> float:
        """Return the bytes a day of all but history, from the whole hours that are known; half, where none is."""
        known = [hour.other for hour in self._hours[:-1] if hour.other]
        return HOURS * sum(known) / len(known) if known else self._share / 2

    def _used(self) -> int:
        self._date()
        now = self._clock.boottime()
        while self._hours and now >= self._hours[0].began + (HOURS + 1) * HOUR:
            del self._hours[0]
        return sum(hour.bytes for hour in self._hours)

    def _spend(self, size: int) -> None:
        if size <= 0:
            return
        self._date()
        now = self._clock.boottime()
        last = self._hours[-1] if self._hours else None
        if last is None or last.began < self._recalled_at or now >= last.began + HOUR:
            last = _Hour(now)
            self._hours.append(last)
            self._unkept = KEEP_EVERY
        history = min(size, self._sent_history)
        self._sent_history -= history
        last.history += history
        last.other += size - history
        self._unkept += size
        if self._unkept >= KEEP_EVERY:
            self._unkept = 0
            self._used()  # forgets what is past
            hours = [[hour.began, hour.other, hour.history] for hour in self._hours]
            self._keep({"boot": self._clock.boot, "at": now, "utc": self._utc(), "hours": hours})

    def _date(self) -> None:
        """Put the hours before the reboot where they belong, once that is known."""
        if self._before is None or (utc := self._utc()) is None:
            return
        off = (utc - self._before.utc) - (self._clock.boottime() - self._before.at)
        for hour in self._hours:
            if off > 0 and hour.began < self._recalled_at:
                hour.began -= off
        self._before = None


def _hour(row: object, shift: int, now: int) -> _Hour:
    match row:
        case [int(began), int(other), int(history)] if min(other, history) >= 0 and _is_time(began):
            return _Hour(min(began + shift, now - 1), other, history)
        case _:
            raise ValueError(f"not an hour of a budget: {row!r:.80}")


def _is_time(value: int) -> bool:
    return -LARGEST < value < LARGEST
