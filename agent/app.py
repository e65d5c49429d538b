"""The composition root: one gateway's agent, put together from its configuration in the world it is handed."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from agent import logs, outputs, resend
from agent.backoff import Backoff
from agent.commanding.maintenance import KEPT, Maintenance
from agent.commanding.reception import Reception
from agent.control_verbs import COMMISSIONED, ControlVerbs
from agent.gnss import Gnss
from agent.health import Health
from agent.journal.journal import Journal
from agent.memories import read_anchors, read_boots
from agent.publishing import Publishing
from agent.readings import Stream
from agent.reporting import Reporting
from agent.sampler.pipeline import Pipeline
from agent.sampler.quarantine import Quarantine, guarded
from agent.sampler.supervise import supervise
from agent.sampling import Sampling
from agent.securing import Securing
from agent.timekeeper import Timekeeper
from agent.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.commanding.commander import Commander
    from agent.commanding.verbs import Reloading
    from agent.config.model import Config, Device
    from agent.proof import Proof
    from agent.world import World

CLOCK_EVERY = 5.0  # seconds between two looks at the wall clock
BOOTS_EVERY = 60.0  # seconds between two notes of how long a boot has run that cannot be dated yet
LEDGER_EVERY = 60.0  # seconds between two statements of what was withheld
GOODBYE_WITHIN = 2.0  # seconds for the publishers to see their last acknowledgements
OVERDUE = 30.0  # seconds by which the refinement of a device may be late before the watchdog is no longer fed
COMMIT_WITHIN = 2.0  # seconds for the last commit; together below the 5 s within which a stop is over


class Agent:
    """One gateway's agent, put together from its configuration."""

    def __init__(
        self,
        config: Config,
        world: World,
        *,
        version: str,
        config_problems: list[str],
        reloading: Reloading | None = None,
    ) -> None:
        """`reloading` is how to take up a new configuration; None where that cannot be."""
        self._config = config
        self._world = world
        self._version = version
        self._manager = world.manager
        self._random = world.random
        self._clock = world.clock
        self._log = logs.get("agent")
        self._repeats = logs.Repeats()
        self._withheld = Withheld()
        self._gnss = Gnss(dates=config.clock.gnss == "source")
        self._timekeeper = Timekeeper(self._clock, self._gnss)
        self._stopping = False
        self._journal = Journal(
            young=world.young,
            card=world.card,
            clock=self._clock,
            random=self._random,
            uplinks=list(config.uplinks),
            limits=config.journal,
            quotas={name: uplink.quota for name, uplink in config.uplinks.items() if uplink.quota is not None},
            log=logs.get("journal"),
        )
        self._quarantine = Quarantine(config.devices)
        self._recall()
        self._pipelines = {name: self._pipeline(device) for name, device in config.devices.items()}
        self._publishing = Publishing(
            config, world, self._journal, self._timekeeper, version=version, take_up=self._take_up
        )
        self._publishers = self._publishing.publishers
        self._sampling = Sampling(config, world, self._pipelines, utc=self._timekeeper.utc, link=self._publishing.link)
        self._maintenance = Maintenance(self._pipelines, self._journal, self._clock)
        self._secure = Securing(self._journal)
        self._reloading = reloading
        self._health = Health(
            gateway=config.gateway.id,
            version=version,
            config_problems=config_problems,
            clock=self._clock,
            timekeeper=self._timekeeper,
            journal=self._journal,
            pipelines=self._pipelines,
            publishers=self._publishers,
            tested=self._maintenance.left,
            configuring=dict if reloading is None else reloading.state,
        )
        self._reporting = Reporting(self._health, world, self._publishing, self._journal, self._pipelines)
        self._control_verbs = ControlVerbs(
            config=config,
            clock=self._clock,
            journal=self._journal,
            pipelines=self._pipelines,
            sampling=self._sampling,
            publishing=self._publishing,
            maintenance=self._maintenance,
            health=self._health,
            reloading=reloading,
            secure=self._secure,
            stopping=lambda: self._stopping,
        )

    # --- parts -----------------------------------------------------------------------------------------------------

    def _recall(self) -> None:
        """Take up what the last run left: its anchors and, if it was in this boot, its open tallies."""
        self._take_up("anchors", lambda kept: self._timekeeper.recall(read_anchors(kept)))
        self._take_up("boots", lambda kept: self._timekeeper.recall_boots(read_boots(kept)))
        is_same_boot = self._journal.kept("boot") == self._clock.boot
        for device in self._config.devices:
            if is_same_boot:
                self._take_up(f"withheld/{device}", partial(self._withheld.recall, device))
            else:  # its instants are of another boot, and the next run of this one must not take them for its own
                self._journal.keep(f"withheld/{device}", None)
        if is_same_boot:
            self._quarantine.recall(self._journal.kept("quarantine"), self._clock.boottime())
        if (culprit := self._world.culprit) in self._config.devices:
            self._quarantine.add(culprit, self._clock.boottime())
            self._log.error("device_held_up_the_agent", device=culprit)
        self._journal.keep("quarantine", self._quarantine.memory())
        self._journal.keep("boot", self._clock.boot)
        self._journal.keep("gateway", self._config.gateway.id)  # so that a card that is carried home says whose it is
        self._journal.identify()

    def _take_up(self, name: str, take: Callable[[Any], None]) -> None:
        """Take up a kept value; one of another shape, of another version perhaps, must not end the start."""
        kept = self._journal.kept(name)
        if kept is None:
            return
        try:
            take(kept)
        except ValueError as error:
            self._log.warning("memory_unreadable", memory=name, detail=str(error))
            self._journal.keep(name, None)

    def _pipeline(self, device: Device) -> Pipeline:
        return Pipeline(
            device,
            journal=self._journal,
            clock=self._clock,
            random=self._random,
            withheld=self._withheld,
            log=logs.get("sampler"),
            repeats=self._repeats,
            on_time=self._gnss.take,
        )

    def _commander(self) -> Commander:
        """Make what executes commands."""
        from agent.commanding.commander import Commander
        from agent.commanding.memory import Memory
        from agent.commanding.signatures import Verifier
        from agent.commanding.verbs import Verbs

        verbs = Verbs(
            config=self._config,
            version=self._version,
            pipelines=self._pipelines,
            soundings=self._sampling.soundings,
            polls=self._sampling.polls,
            maintenance=self._maintenance,
            health=self._health.document,
            publish_health=self._reporting.publish_health,
            resend=resend.verb(self._journal, self._config.uplinks, self._clock),
            reloading=self._reloading,
        )
        rules = self._config.commands
        return Commander(
            verbs.table(),
            Memory(self._journal.keep, self._journal.kept),
            verifier=Verifier(self._config.gateway.id, rules.keys) if rules.require_signature else None,
            now=self._timekeeper.now,
            secure=self._secure,
            answers_on=lambda name, topic: self._publishers[name].answers_on(topic),
            answer=lambda name, payload, reply: self._publishers[name].answer(payload, reply.topic, reply.correlation),
            log=logs.get("commands"),
        )

    # --- life ------------------------------------------------------------------------------------------------------

    @property
    def proven(self) -> Proof | None:
        """What this run has shown that it can do."""
        return self._reporting.proven

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then end in order within 5 s: samplers, withheld, publishers, the last commit."""
        self._note_outputs()
        self._take_up(KEPT, self._maintenance.recall)
        commands = Reception(self._commander)
        commands.open(self._config.uplinks, self._publishers)
        async with self._world.control(self._control_verbs.table()), asyncio.TaskGroup() as group:
            samplers = [
                group.create_task(supervise(work, self._pipelines[name], self._clock, self._random), name=name)
                for name, work in self._samplers().items()
            ]
            for pipeline in self._pipelines.values():
                pipeline.start()
            services = [
                group.create_task(self._keep_going(name, work), name=name)
                for name, work in {
                    "clock": self._keep_time,
                    "withheld": self._state_withheld,
                    "health": self._reporting.run,
                    "commit": self._journal.run,
                    "watchdog": self._feed_watchdog,
                    "commands": commands.run,
                }.items()
            ]
            publishers = [
                group.create_task(self._keep_going(f"uplink {name}", publisher.run), name=f"uplink {name}")
                for name, publisher in self._publishers.items()
            ]
            self._publishing.publish_about()
            if isinstance(report := self._journal.kept(COMMISSIONED), dict):
                self._publishing.publish_commissioning(report)
            self._manager.notify("READY=1", f"STATUS={self._health.line()}")
            self._log.info("started", gateway=self._config.gateway.id, version=self._version)
            await stop.wait()
            self._stopping = True
            self._log.info("stopping")
            await self._end(samplers)
            self._maintenance.stop()
            for pipeline in self._pipelines.values():
                pipeline.stop()
            self._sampling.close()
            self._state_withheld_now()
            self._journal.close_packs()
            await self._end(publishers, GOODBYE_WITHIN)
            await self._end(services)
            await self._journal.close(COMMIT_WITHIN)
            self._world.close()
            self._log.info("stopped")

    def _samplers(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return, by device, the work that its supervisor keeps going, with what finds out who holds up the loop."""
        return {
            name: guarded(work, self._pipelines[name], self._quarantine, self._clock, self._world.crumb)
            for name, work in self._sampling.work().items()
        }

    def _note_outputs(self) -> None:
        """Write down what is about to be driven, for `roadside safe` when we are dead."""
        try:
            outputs.note(self._world.young, self._config.devices.values(), self._sampling.port_of)
        except OSError as error:
            self._log.error("outputs_not_noted", detail=str(error))

    async def _keep_going(self, name: str, work: Callable[[], Awaitable[None]]) -> NoReturn:
        """Do the work for ever: a fault of ours in one part is told, and must not take the others with it."""
        backoff = Backoff(self._random)
        while True:
            began = self._clock.boottime()
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the boundary at which a defect becomes a counted failure
                self._health.failures[name] += 1
                self._log.error("part_failed", part=name, trace=error)
            await asyncio.sleep(backoff.failed((self._clock.boottime() - began) / 1e9))

    async def _end(self, tasks: list[asyncio.Task[Any]], within: float = 1.0) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            _done, pending = await asyncio.wait(tasks, timeout=within)
            for task in pending:
                self._log.error("does_not_stop", task=task.get_name())

    async def _keep_time(self) -> None:
        kept_at = -math.inf
        while True:
            anchors = self._timekeeper.look()
            if anchors:
                self._journal.append(Stream.ANCHOR, anchors)
                fields = [[a.boot, a.at, a.utc, a.uncertainty, a.source] for a in self._timekeeper.memory()]
                self._journal.keep("anchors", fields)
                for anchor in anchors:
                    earlier = anchor.boot if anchor.boot != self._clock.boot else None
                    self._log.info("clock_anchored", source=anchor.source, uncertainty=anchor.uncertainty, boot=earlier)
            now = self._clock.boottime()
            if anchors or (
                self._timekeeper.now() is None and now - kept_at >= BOOTS_EVERY * 1e9
            ):  # else the next anchor tells
                kept_at = now
                self._journal.keep("boots", self._timekeeper.boots())
            self._publishing.poke()
            await asyncio.sleep(CLOCK_EVERY)

    async def _state_withheld(self) -> None:
        while True:
            self._state_withheld_now()  # at once what the last run left: else kills could put it off for ever
            await asyncio.sleep(LEDGER_EVERY)

    def _state_withheld_now(self) -> None:
        entries = self._withheld.take(self._clock.boottime())
        with self._journal.together():
            self._journal.append(Stream.LEDGER, entries)
            for device in dict.fromkeys(entry.device for entry in entries):
                self._journal.keep(f"withheld/{device}", None)

    async def _feed_watchdog(self) -> None:
        """Tell systemd that the loop turns and that each device's silence would be noticed.

        Being offline, or a card that stalls, is no reason to be killed.
        """
        within = self._manager.watchdog()
        while True:
            await asyncio.sleep(within / 3 if within else 3600.0)
            late = [name for name, pipeline in self._pipelines.items() if pipeline.overdue() > OVERDUE]
            if late:
                self._log.error("refinement_overdue", devices=",".join(late))
            else:
                self._manager.notify("WATCHDOG=1")
