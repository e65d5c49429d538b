"""Which of an uplink's two brokers it uses: the first, and the second while the first is away.

The one in use is left when it has held no connection for `failover_after`, not at the first loss. The first is taken
again when it has held one for `failback_after`, or for `failover_after` where the second is lost: while the second is
in use, a connection that publishes nothing is kept to the first. Each wait is up to a quarter longer than it is set to,
by chance: gateways that lost a broker together do not reach the next one together.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from agent.backoff import OF_MANY, Backoff
from agent.uplink.broker import LinkError, LinkFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agent.config.model import Uplink
    from agent.seams import Random
    from agent.uplink.broker import Broker, Link

LONGER = 1.25  # at the most, by chance
LAST_TRY = 1 / 3  # of the patience is left, at the most, when a broker is tried for the last time


class Backup(NamedTuple):
    """What an uplink with two brokers has besides the first."""

    broker: Broker  # the second
    probe: Broker  # the first, under another client id: no session, subscription or will of ours is touched


class Route:
    """The broker that is in use, and why it is that one."""

    def __init__(self, uplink: Uplink, broker: Broker, backup: Backup | None, random: Random) -> None:
        self._names = [f"{each.host}:{each.port}" for each in uplink.brokers]
        self._failover_after = uplink.failover_after
        self._failback_after = uplink.failback_after
        self._ack_within = uplink.ack_within
        self._first = broker
        self._backup = backup
        self._random = random
        self._trouble_since: float | None = None  # when the last good connection ended; None if nothing was tried
        self._patience = math.inf
        self._error: LinkError | None = None
        self._steady_since: float | None = None
        self.on_backup = False
        self.first_is_back = False
        self.away: LinkError | None = None  # what is wrong with the first broker, while the second is in use

    @property
    def broker(self) -> Broker:
        """The one to connect to."""
        return self._backup.broker if self._backup is not None and self.on_backup else self._first

    @property
    def name(self) -> str:
        """The host and port of the one in use."""
        return self._names[self.on_backup]

    @property
    def first(self) -> str:
        """The host and port of the first one."""
        return self._names[0]

    def steady_for(self, now: float) -> float | None:
        """Return for how long the first broker has held a connection; None if it does not, or is the one in use."""
        return None if self._steady_since is None else now - self._steady_since

    def trying(self, now: float) -> bool:
        """Choose the broker of the next connection; return whether it is another one than that of the last."""
        changes = self.first_is_back or self.patience_left(now) <= 0
        if changes:
            self.on_backup = not self.on_backup
            self.first_is_back = False
            self.away = self._error if self.on_backup else None
        if changes or self._trouble_since is None:
            self._begin_trouble(now)
        return changes

    def failed(self, error: LinkError, held: float, now: float) -> None:
        """Note that a connection held for so many seconds, and why no longer."""
        self._error = error
        if error.fault is LinkFault.UNACKED:
            held -= self._ack_within  # in which the broker was of no use, although it let us in
        if held >= self._failover_after:
            self._begin_trouble(now)

    def patience_left(self, now: float) -> float:
        """Return how many seconds the broker in use still has; infinity if there is no other."""
        if self._backup is None or self._trouble_since is None:
            return math.inf
        return max(0.0, self._trouble_since + self._patience - now)

    def longest_wait(self, now: float) -> float:
        """Return for how many seconds the broker in use need not be tried; infinity if there is no other.

        Before it is left it is tried once more, late: a short absence is not to move anybody who waited too long to see
        its end.
        """
        left = self.patience_left(now)
        return left / 2 if left > LAST_TRY * self._failover_after else left

    def go_back(self) -> None:
        """Use the first broker again."""
        self.on_backup = self.first_is_back = False
        self.away = None
        self._trouble_since = None

    @asynccontextmanager
    async def watching_first(self, link: Link) -> AsyncIterator[None]:
        """While the second broker is in use, have its link ended in good order as soon as the first is steady."""
        if not self.on_backup or self._backup is None:
            yield
            return
        task = asyncio.create_task(self._watch(link, self._backup.probe))
        try:
            yield
        except LinkError:  # nothing is left for the first any more: a good connection to that is enough
            steady = self.steady_for(_now())
            self.first_is_back = self.first_is_back or (steady is not None and steady >= self._failover_after)
            raise
        finally:
            task.cancel()
            await asyncio.wait({task})
            self._steady_since = None

    async def _watch(self, link: Link, probe: Broker) -> None:
        backoff = Backoff(self._random, shortest=OF_MANY)
        while not self.first_is_back:
            began = _now()
            try:
                await self._hold(probe)
            except LinkError as error:
                self.away = error
                held, self._steady_since = 0.0 if self._steady_since is None else _now() - began, None
                await asyncio.sleep(backoff.failed(held))
        if not link.papers.renewed.done():
            link.papers.renewed.set_result(None)

    async def _hold(self, probe: Broker) -> None:
        """Hold a connection to the first broker for long enough; raises LinkError if it does not."""
        async with probe.connect(None) as link:
            self._steady_since = _now()
            wait = self._failback_after * self._random.uniform(1.0, LONGER)
            lost, _ = await asyncio.wait({link.lost}, timeout=wait)
            if lost:
                raise link.lost.result()
            self.first_is_back = True
            await link.goodbye()

    def _begin_trouble(self, now: float) -> None:
        self._trouble_since = now
        self._patience = self._failover_after * self._random.uniform(1.0, LONGER)


def _now() -> float:
    return asyncio.get_running_loop().time()
