"""Kills, one after the other on one root, each judged at once; then all that was ever written must arrive."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from hil.link import Link, LinkState
from tests.brokers import Mosquitto
from tests.kills.acknowledged import unacknowledged
from tests.kills.counters import Counters
from tests.kills.judge import Receiver, Truth
from tests.kills.trace import Trace
from tests.kills.traced import Kill, TracedAgent, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kills.trace import Call

# How much each call weighs in the choice; those that change files most of all.
WEIGHTS = {
    "pwrite64": 30, "openat": 12, "unlink": 12, "fdatasync": 14, "fsync": 10, "ftruncate": 1, "rename": 2, "mkdir": 1,
    "getdents64": 4, "close": 6, "write": 5, "sendto": 10, "recvfrom": 8, "epoll_wait": 4,
    "epoll_pwait": 4, "epoll_ctl": 3, "futex": 4, "clone3": 2, "shutdown": 1, "rt_sigreturn": 2, "exit_group": 2,
}  # fmt: skip
ON_EXIT = 0.5  # of the kills: the call has been done, and the process does not know
LINK_TURNS = 0.15  # before a run: outages last longer than the young end can hold what is new, and the card has to
STARTS_WITHIN = 30.0  # seconds
STOPPED = 0.25  # of the runs are asked to stop at some moment of their first second,
SOON, LATE = 1.0, 2.0  # seconds; the others only if they have not come to their kill by then
ENDS_WITHIN = 20.0  # seconds
DRAINS_WITHIN = 60.0  # seconds


class Killed(NamedTuple):
    """What one kill hit."""

    call: str
    on_exit: bool
    what: str  # what the call was made on
    phase: str  # start-up, running or shutdown


@dataclass(slots=True)
class Outcome:
    """What a campaign came to."""

    kills: Counter[Killed] = field(default_factory=Counter)
    runs: int = 0
    records: int = 0  # whose write had returned
    acknowledged: int = 0  # packs
    doubles: int = 0  # that arrived more than once, and were known by their number
    faults: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Add what another part of the campaign came to."""
        self.kills.update(other.kills)
        self.runs += other.runs
        self.records += other.records
        self.acknowledged += other.acknowledged
        self.doubles += other.doubles
        self.faults += other.faults


class Site:
    """One root, what hangs on it, the broker and the city; agents come and go. An asynchronous context manager."""

    def __init__(self, chance: random.Random) -> None:
        self.outcome = Outcome()
        self.root = Path(tempfile.mkdtemp(prefix="roadside-"))  # pytest's own folders are too long for a unix socket
        self._chance = chance
        self._least: Counter[str] = Counter()  # of each call: made before the journal is opened
        self._most: Counter[str] = Counter()  # and at the end of the longest run
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(shutil.rmtree, self.root)
            broker = Mosquitto(self.root / "broker", "max_queued_messages 0")
            stack.callback(broker.stop)
            broker.start()
            self.link = await stack.enter_async_context(Link(broker.port))
            self.received = await stack.enter_async_context(Receiver(broker.port))
            self.counters = await stack.enter_async_context(Counters(self.root))
            flag = self.root / "run/systemd/timesync/synchronized"
            flag.parent.mkdir(parents=True)
            flag.touch()
            self.truth = Truth(self.root)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    # --- one kill ---------------------------------------------------------------------------------------------------

    async def learn(self) -> None:
        """Let runs come to their own end, to know how often each call is made; the first one also makes folders."""
        for _ in range(2):
            await self._run(None, SOON)

    async def kill(self) -> None:
        """Start an agent and kill it at one call; perhaps it ends before it comes to that."""
        known = {call: weight for call, weight in WEIGHTS.items() if self._most[call] > self._least[call]}
        call = self._chance.choices(list(known), list(known.values()))[0]
        when = self._chance.randint(self._least[call] + 1, self._most[call])
        if self._chance.random() < LINK_TURNS:
            await self._set_link(up=self.link.state is LinkState.CUT)
        kill = Kill(call, when, call != "exit_group" and self._chance.random() < ON_EXIT)
        await self._run(kill, self._chance.uniform(0, SOON) if self._chance.random() < STOPPED else LATE)

    async def _run(self, kill: Kill | None, lasts: float) -> None:
        began = len(self._log())
        agent = self._agent(kill)
        await agent.start()
        try:
            await self._until(lambda: " started" in self._log()[began:] or agent.has_ended, STARTS_WITHIN)
            if not await agent.ended(lasts):
                agent.terminate()
                if not await agent.ended(ENDS_WITHIN):
                    self._fault(f"does not stop: {kill}\n{self._log()[-2000:]}")
        finally:
            await agent.end()
        trace = self._judge(agent, str(kill))
        self._account(agent, trace, self._log()[began:])

    def _judge(self, agent: TracedAgent, when: str) -> Trace:
        trace = Trace(agent.folder)
        shutil.rmtree(agent.folder)
        self.truth.take(trace)
        self.truth.check_files()
        count, faults = unacknowledged(trace)
        self.outcome.acknowledged += count
        self.truth.faults += faults
        self._gather_faults(when)
        return trace

    def _agent(self, kill: Kill | None) -> TracedAgent:
        self.outcome.runs += 1
        run = command(self.root, **{"uplinks.city.url": self.link.url})
        return TracedAgent(run, root=self.root, folder=self.root / f"trace-{self.outcome.runs}", kill=kill)

    def _account(self, agent: TracedAgent, trace: Trace, log: str) -> None:
        """Count the kill, or learn how often the calls are made."""
        if "Traceback" in log or "part_failed" in log or "journal_fault" in log:
            self._fault(log)
        killed = agent.last_call(trace)
        if killed is not None:
            assert agent.kill is not None
            phase = "shutdown" if " stopping" in log else "running" if " started" in log else "start-up"
            self.outcome.kills[Killed(killed.name, agent.kill.on_exit, _kind(killed), phase)] += 1
        elif agent.kill is None:
            self._least, self._most = trace.before("/run/roadside/young"), trace.counts()
        elif agent.status != 0 and not agent.kill.on_exit:
            self._fault(f"ended with status {agent.status}: {agent.kill}\n{log}")

    # --- the end ----------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Let everything arrive, stop in order, and hold what has arrived against what was written."""
        await self._set_link(up=True)
        agent = self._agent(None)
        await agent.start()
        try:
            await self._until(self._started, STARTS_WITHIN)
            await self.counters.quiet()
            await self._drained()
            agent.terminate()
            if not await agent.ended(ENDS_WITHIN):
                self._fault("does not stop at the end")
        finally:
            await agent.end()
        self._judge(agent, "at the end")
        records = self.truth.records
        await self._until(lambda: records.keys() <= self.received.records.keys(), ENDS_WITHIN, or_else="lost")
        self.truth.check_received(self.received, self.counters.said)
        self._gather_faults("at the end")
        self.outcome.records = len(records)
        self.outcome.doubles = self.received.doubles

    def _started(self) -> bool:
        return (self.root / "run/roadside/control").exists()

    async def _drained(self) -> None:
        try:
            async with asyncio.timeout(DRAINS_WITHIN):
                while await self._waiting():  # noqa: ASYNC110 - another process has to be asked
                    await asyncio.sleep(0.05)
        except TimeoutError:
            self._fault(f"not everything has gone up within {DRAINS_WITHIN:g} s\n{self._log()[-2000:]}")

    async def _waiting(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self.root / "run/roadside/control", limit=1 << 20)
        except OSError:
            return True  # the socket of one that was killed: the new one has not come so far
        writer.write(b'{"do": "status"}\n')
        status = json.loads(await reader.readline())["ok"]
        writer.close()
        return any(status["journal"]["waiting"]["city"].values())

    async def _set_link(self, *, up: bool) -> None:
        await (self.link.restore() if up else self.link.cut())

    async def _until(self, condition: Callable[[], object], within: float, *, or_else: str = "") -> None:
        deadline = asyncio.get_running_loop().time() + within
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                self._fault(or_else or f"not within {within:g} s\n{self._log()[-2000:]}")
                return
            await asyncio.sleep(0.02)

    def _log(self) -> str:
        path = self.root / "agent.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _fault(self, text: str) -> None:
        self.outcome.faults.append(text)

    def _gather_faults(self, when: str) -> None:
        for faults in (self.truth.faults, self.received.faults):
            self.outcome.faults += [f"{when}: {fault}" for fault in faults]
            faults.clear()


def _kind(call: Call) -> str:
    """Return what kind of thing a call was made on."""
    if call.name in {"sendto", "recvfrom", "shutdown"}:
        return "socket"
    path = call.path() if call.name in {"openat", "unlink", "rename", "mkdir"} else _descriptor(call)
    for part, kind in {
        ".young": "young end", "/young": "young end", ".segment": "card", "/journal": "card", "/state": "state",
        "/control": "control socket", "socket:": "socket", "pipe:": "log", "agent.log": "log",
    }.items():  # fmt: skip
        if part in path:
            return kind
    return ""


def _descriptor(call: Call) -> str:
    texts = call.texts()
    return texts[0].decode(errors="replace") if texts else ""


async def campaign(
    kills: int, seed: int, *, batch: int = 50, told: Callable[[Outcome], None] = lambda _: None
) -> Outcome:
    """Kill so many times, with a new root for each batch; stops at the first batch that finds a fault."""
    whole = Outcome()
    number = 0
    while whole.kills.total() < kills and not whole.faults:
        number += 1
        async with Site(random.Random(f"{seed} {number}")) as site:
            await site.learn()
            left = min(batch, kills - whole.kills.total())
            while site.outcome.kills.total() < left and not site.outcome.faults:
                await site.kill()
            await site.drain()
        whole.add(site.outcome)
        told(whole)
    return whole
