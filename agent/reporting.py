"""Says how the agent is: to the city as health, to systemd as a line, and to the next update as what it has shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent import logs, proof
from agent.proof import Proof

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from agent.health import Health
    from agent.journal.journal import Journal
    from agent.publishing import Publishing
    from agent.sampler.pipeline import Pipeline
    from agent.world import World

EVERY = 60.0  # seconds between two health documents while nothing changes
LOOKED_AT_EVERY = 1.0  # seconds after which a change of any state is published


class Reporting:
    """The reports of one agent."""

    def __init__(
        self,
        health: Health,
        world: World,
        publishing: Publishing,
        journal: Journal,
        pipelines: Mapping[str, Pipeline],
    ) -> None:
        self.proven: Proof | None = None  # what this run has shown that it can do
        self._health = health
        self._world = world
        self._publishing = publishing
        self._journal = journal
        self._pipelines = pipelines
        self._log = logs.get("agent")

    async def run(self) -> NoReturn:
        """Publish health every so often, and soon after anything in it changed its state."""
        last: tuple[object, ...] = ()
        rest = 0.0
        while True:
            states = self._health.states()
            if states != last or rest <= 0:
                last, rest = states, EVERY
                self.publish_health()
                self._world.manager.notify(f"STATUS={self._health.line()}")
            self._prove()
            await asyncio.sleep(LOOKED_AT_EVERY)
            rest -= LOOKED_AT_EVERY

    def publish_health(self) -> None:
        """Publish it as it is now."""
        self._publishing.publish("health", self._health.document(), retain=False)

    def _prove(self) -> None:
        """Write down what this run has shown that it can do, when that has changed."""
        now = Proof(
            self._world.release,
            sampled=any(pipeline.latest for pipeline in self._pipelines.values()),
            stored=self._journal.has_stored,
            delivered=self._journal.has_delivered,
            online=self._publishing.online,
        )
        if now != self.proven:
            self.proven = now
            try:
                proof.write(self._world.young, now)
            except OSError as error:
                self._log.error("proof_not_written", detail=str(error))
