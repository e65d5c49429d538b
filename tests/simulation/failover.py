"""Two brokers of one uplink: what befalls them, which of them the agent is at, and whether it ought to be there."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from agent.publishing import PROBE
from agent.uplink.broker import LinkError, LinkFault
from agent.uplink.route import LONGER
from tests.simulation.losses import true_time
from tests.simulation.universe import SECOND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from random import Random

    from agent.config.model import Uplink
    from agent.uplink.broker import Will
    from tests.simulation.broker import SimulatedBroker, SimulatedLink
    from tests.simulation.play import Play
    from tests.simulation.troubles import Trouble

FIRST, SECOND_ONE = "broker", "backup"  # names of the two
LOGIN = 12.0  # seconds that an attempt to connect takes at the most
LONGEST_WAIT = 60.0  # seconds between two attempts
SETTLES = 10.0  # seconds for what else there is to do: to take leave, to wait for room in the window
SILENCE = 40.0  # seconds after which a connection over which nothing comes is given up, at both ends


@dataclass(slots=True)
class Visit:
    """An attempt of the agent to connect, and the connection that came of it. Times are true nanoseconds."""

    run: int  # of the agent
    broker: str
    probing: bool
    began: int
    opened: int | None = None
    ended: int | None = None  # None: with the run
    left: bool = False  # in good order
    fault: LinkFault | None = None

    def held(self, ack_within: float) -> float:
        """Return for how many seconds the connection was of use: not while the broker acknowledged nothing."""
        if self.opened is None or self.ended is None:
            return 0.0
        return (self.ended - self.opened) / SECOND - (ack_within if self.fault is LinkFault.UNACKED else 0.0)


@dataclass
class Way:
    """Implements `agent.uplink.broker.Broker`: the way of one client to one of the two, which notes each visit."""

    broker: SimulatedBroker
    visits: list[Visit]
    run: int
    probing: bool

    @asynccontextmanager
    async def connect(self, will: Will | None) -> AsyncIterator[SimulatedLink]:
        """Open a link."""
        universe = self.broker.universe
        visit = Visit(self.run, self.broker.name, self.probing, universe.now)
        self.visits.append(visit)
        life = universe.life
        link = None
        try:
            async with self.broker.watch() if self.probing else self.broker.connect(will) as link:
                visit.opened = universe.now
                yield link
        except LinkError as error:
            visit.fault = error.fault
            raise
        finally:
            if universe.life == life and not universe.dying:
                visit.ended = universe.now
                visit.left = link is not None and link.left


@dataclass
class Pair:
    """The two, and all visits to them."""

    first: SimulatedBroker
    second: SimulatedBroker
    visits: list[Visit] = field(default_factory=list)
    second_away: list[tuple[int, int]] = field(default_factory=list)  # true time: from when until when, at the most

    def way(self, uplink: Uplink, run: int) -> Way:
        """Return the way to the broker that an uplink names."""
        broker = self.second if uplink.host == SECOND_ONE else self.first
        return Way(broker, self.visits, run, uplink.client_id.endswith(PROBE))

    def heal(self) -> None:
        """Have nothing go wrong any more."""
        for broker in (self.first, self.second):
            broker.down, broker.deaf = None, False
            broker.latency = 0.01
        self.second.drop()

    def leave(self) -> None:
        """Have no more of a client whose process is gone."""
        for broker in (self.first, self.second):
            for link in (broker.link, broker.probe):
                if link is not None:
                    link.hang_up()


# --- what befalls them -----------------------------------------------------------------------------------------------


def brokers_away(chance: Random, seconds: float) -> list[Trouble]:
    """Draw when the two are away, each for itself or both together: gone, hung, or coming and going."""
    happens: list[Trouble] = []
    for _ in range(chance.randint(2, 8)):
        which = chance.choice(["first", "first", "second", "both"])
        how = chance.choice([_gone, _hung, _flapping])
        at = chance.uniform(0, seconds)
        lasts = chance.choice([chance.uniform(1, 20), chance.uniform(20, 300)])
        for one in ("first", "second"):
            if which in {one, "both"}:
                happens += [(at + after, call) for after, call in how(chance, one, lasts)]
    return happens


def _gone(_: Random, which: str, lasts: float) -> list[Trouble]:
    """Nobody listens there."""
    return [(0.0, lambda play: _away(play, which, lasts)), (lasts, lambda play: _back(play, which))]


def _hung(_: Random, which: str, lasts: float) -> list[Trouble]:
    """Something is there and says nothing: connections stand until somebody has waited for too long."""

    def hang(play: Play) -> None:
        broker = _begin(play, which, "hung", lasts)
        broker.down, broker.deaf = LinkFault.TIMED_OUT, True

    def give_up(play: Play) -> None:
        _broker(play, which).drop()

    silence = [(SILENCE, give_up)] if lasts > SILENCE else []
    return [(0.0, hang), *silence, (lasts, lambda play: _back(play, which))]


def _flapping(chance: Random, which: str, lasts: float) -> list[Trouble]:
    """It comes and goes."""
    happens: list[Trouble] = []
    at = 0.0
    while at < lasts:
        down = chance.uniform(0.5, 3)
        happens += [(at + after, call) for after, call in _gone(chance, which, down)]
        at += down + chance.choice([chance.uniform(1, 5), chance.uniform(5, 40)])
    return happens


def _broker(play: Play, which: str) -> SimulatedBroker:
    assert play.pair is not None
    return play.pair.first if which == "first" else play.pair.second


def _begin(play: Play, which: str, how: str, lasts: float) -> SimulatedBroker:
    assert play.pair is not None
    now = play.universe.now
    play.universe.tell("broker away", f"{which} {how} {lasts:.0f}")
    play.reached.add(f"of two brokers {which} {how}")
    if which == "second":
        play.pair.second_away.append((now, now + round(lasts * SECOND)))
    return _broker(play, which)


def _away(play: Play, which: str, lasts: float) -> None:
    broker = _begin(play, which, "gone", lasts)
    broker.down = LinkFault.UNREACHABLE
    broker.drop()


def _back(play: Play, which: str) -> None:
    broker = _broker(play, which)
    broker.down, broker.deaf = None, False


# --- what is demanded of the agent -----------------------------------------------------------------------------------


class Run(NamedTuple):
    """A run of the agent, as far as it was about to connect or connected. Times are true nanoseconds."""

    begin: int
    end: int
    visits: list[Visit]  # for publishing
    probes: list[Visit]


def failover(play: Play) -> Iterator[str]:
    """Hold the visits against the rules of docs/wire.md: who is left when, and taken again."""
    if play.pair is None:
        return
    uplink = play.config.uplinks["city"]
    for run in _runs(play):
        yield from _moves(play, run, uplink)
        yield from _turns(run, uplink)
        yield from _home(run, uplink)
    yield from _alarms(play, uplink)


def _runs(play: Play) -> Iterator[Run]:
    assert play.pair is not None
    for number, (begin, end) in enumerate(zip(play.starts, play.ends, strict=True)):
        visits = [one for one in play.pair.visits if one.run == number and not one.probing]
        probes = [one for one in play.pair.visits if one.run == number and one.probing]
        last = end.now
        if end.how == "stop":  # the agent stops in its own order; when it left or failed last, it may have been told to
            last = max((one.ended or one.began for one in visits), default=begin)
        yield Run(begin, last, visits, probes)


def _moves(play: Play, run: Run, uplink: Uplink) -> Iterator[str]:
    """One is left when it held no connection for so long; the second also when the first has held one."""
    since = None  # when trouble with the broker in use began, if it began
    for before, now in pairwise(run.visits):
        since = before.began if since is None else since
        if before.ended is not None and before.held(uplink.ack_within) >= uplink.failover_after:
            since = before.ended
        if now.broker == before.broker:
            continue
        patience = (now.began - since) / SECOND
        since = None
        if now.broker == FIRST and _watched(run, before, uplink):
            play.reached.add("back on the first broker, as it was steady")
        elif patience >= uplink.failover_after:
            play.reached.add(f"moved from {before.broker} to {now.broker}")
        else:
            at = now.began / SECOND
            yield f"at {at:.3f} s {before.broker} was left after {patience:.1f} s of trouble, and nothing was steady"


def _watched(run: Run, visit: Visit, uplink: Uplink) -> bool:
    """Return whether a connection to the first was held for long enough before the second was left, or lost."""
    if visit.opened is None or visit.ended is None:
        return False
    for one in run.probes:
        if one.opened is None or one.ended is None or not visit.opened <= one.opened <= one.ended <= visit.ended:
            continue
        held = (one.ended - one.opened) / SECOND
        was_lost = one.ended == visit.ended and not visit.left
        if (one.left and held >= uplink.failback_after) or (was_lost and held >= uplink.failover_after):
            return True
    return False


def _turns(run: Run, uplink: Uplink) -> Iterator[str]:
    """While none holds a connection, each is tried in its turn."""
    longest = round((2 * (LONGER * uplink.failover_after + LOGIN) + SETTLES) * SECOND)
    alone = run.begin
    for opened, ended in [*_held(run), (run.end, run.end)]:
        for broker in (FIRST, SECOND_ONE):
            tried = [one.began for one in run.visits if one.broker == broker and alone <= one.began <= opened]
            for before, now in pairwise([alone, *tried, opened]):
                if now - before > longest:
                    yield f"{broker} was not tried from {before / SECOND:.0f} to {now / SECOND:.0f} s, and nothing held"
        alone = ended


def _held(run: Run) -> list[tuple[int, int]]:
    """Return from when until when there was a connection to publish over."""
    return [(one.opened, run.end if one.ended is None else one.ended) for one in run.visits if one.opened is not None]


def _home(run: Run, uplink: Uplink) -> Iterator[str]:
    """Once all has been well for so long, the first is in use."""
    longest = round((LONGER * uplink.failback_after + LONGEST_WAIT + LOGIN + SETTLES) * SECOND)
    troubles = [one.ended for one in (*run.visits, *run.probes) if one.ended is not None and not one.left]
    at_first = [one for one in run.visits if one.broker == FIRST and one.opened is not None]
    for before, now in pairwise([run.begin, *sorted(troubles), run.end]):
        if now - before <= longest:
            continue
        if not any(
            one.opened is not None and one.opened <= before + longest and (one.ended or run.end) >= now
            for one in at_first
        ):
            yield f"the first is not in use at {now / SECOND:.0f} s, and all was well since {before / SECOND:.0f} s"


def _alarms(play: Play, uplink: Uplink) -> Iterator[str]:
    """While the second is well an alarm goes up within the stated time, whatever the first is at."""
    assert play.pair is not None
    longest = round((uplink.ack_within + 2 * (LONGER * uplink.failover_after + LOGIN) + 3 * SETTLES) * SECOND)
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    lives = [(begin, end.now) for begin, end in zip(play.starts, play.ends, strict=True)]
    for one in play.city.records.values():
        if one.name.stream != "alarm" or one.name in play.city.refused:
            continue
        made = true_time(clocks[one.boot], one.boottime)
        due = made + longest
        is_away = any(begin <= due and made - longest <= end for begin, end in play.pair.second_away)
        if not is_away and any(begin <= made and due <= end for begin, end in lives) and one.sent > due:
            late = (one.sent - made) / SECOND
            yield f"{one.name} {one.fields} of {made / SECOND:.0f} s went up {late:.0f} s late, and the second was well"
