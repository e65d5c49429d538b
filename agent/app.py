"""The composition root: one gateway's agent, put together from its configuration in the world it is handed."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from agent import logs, outputs, proof, resend, senml
from agent.backoff import Backoff
from agent.commanding.maintenance import KEPT, Maintenance
from agent.control import ControlError
from agent.gnss import Gnss
from agent.health import Health
from agent.i18n import _
from agent.journal.journal import Journal
from agent.memories import read_anchors, read_boots
from agent.proof import Proof
from agent.readings import Stream
from agent.sampler.listen import listen
from agent.sampler.pipeline import Pipeline
from agent.sampler.poll import Bus, ask_once, poll
from agent.sampler.quarantine import Quarantine, guarded
from agent.sampler.sharing import SharedPorts
from agent.sampler.supervise import supervise
from agent.timekeeper import Timekeeper
from agent.uplink.publisher import Publisher
from agent.uplink.route import Backup
from agent.withheld import Withheld
from drivers.contract import (
    BusOutputDriver,
    GatewayDriver,
    GatewayView,
    InputDriver,
    ListeningDriver,
    OutputDriver,
    PollingDriver,
    RangingDriver,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent.commanding.commander import Commander
    from agent.commanding.verbs import Reloading
    from agent.config.model import Config, Device, Uplink
    from agent.control import Answers, Verb
    from agent.journal.pack import Outbox, Pack
    from agent.sampler.output import Sounding
    from agent.selection import Selection
    from agent.uplink.broker import Incoming
    from agent.uplink.budget import Budget
    from agent.uplink.publisher import Presence
    from agent.world import World
    from drivers.contract import LinkCounts, SerialLine

CLOCK_EVERY = 5.0  # seconds between two looks at the wall clock
BOOTS_EVERY = 60.0  # seconds between two notes of how long a boot has run that cannot be dated yet
PROBE = "-probe"  # after the client id, where a connection is to show no more than that the first broker holds it
LEDGER_EVERY = 60.0  # seconds between two statements of what was withheld
HEALTH_EVERY = 60.0  # seconds between two health documents while nothing changes
HEALTH_LOOK = 1.0  # seconds after which a change of any state is published
GOODBYE_WITHIN = 2.0  # seconds for the publishers to see their last acknowledgements
SECURE_WITHIN = 2.0  # seconds for the card to take the id of a command before it is begun
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
        self._ports = SharedPorts(world.serial, self._clock)
        self._buses: dict[str, Bus] = {}
        self._soundings: dict[str, Sounding] = {}
        self._polls: dict[str, Callable[[], Awaitable[None]]] = {}
        self._securing: asyncio.Task[bool] | None = None
        self._started = self._clock.boottime()
        self._proven: Proof | None = None
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
        self._selections = {name: _selection(uplink) for name, uplink in config.uplinks.items() if uplink.filtered}
        self._pipelines = {name: self._pipeline(device) for name, device in config.devices.items()}
        self._publishers = {name: self._publisher(uplink) for name, uplink in config.uplinks.items()}
        self._maintenance = Maintenance(self._pipelines, self._journal, self._clock)
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

    def _publisher(self, uplink: Uplink) -> Publisher:
        first, *second = uplink.brokers
        return Publisher(
            uplink,
            self._config.gateway.id,
            self._outbox(uplink),
            self._world.broker(first),
            backup=self._backup(first, second[0]) if second else None,
            budget=self._budget(uplink),
            encode=self._encoder(uplink),
            status=self._status,
            random=self._random,
            log=logs.get("uplink"),
        )

    def _outbox(self, uplink: Uplink) -> Outbox:
        outbox = self._journal.outbox(uplink.id)
        selection = self._selections.get(uplink.id)
        if selection is None:
            return outbox
        from agent.uplink.filtering import FilteredOutbox

        name = f"left_out/{uplink.id}"
        filtered = FilteredOutbox(outbox, selection, self._clock, keep=partial(self._journal.keep, name))
        self._take_up(name, filtered.recall)
        return filtered

    def _budget(self, uplink: Uplink) -> Budget | None:
        if uplink.daily_budget is None:
            return None
        from agent.uplink.budget import Budget

        name = f"budget/{uplink.id}"
        keep = partial(self._journal.keep, name)
        budget = Budget(uplink.daily_budget, uplink.alarm_reserve, self._clock, utc=self._utc, keep=keep)
        self._take_up(name, budget.recall)
        return budget

    def _utc(self) -> int | None:
        dated = self._timekeeper.date(self._clock.boot, self._clock.boottime())
        return None if dated is None else dated.utc

    def _backup(self, first: Uplink, second: Uplink) -> Backup:
        probing = replace(first, client_id=first.client_id + PROBE)
        return Backup(self._world.broker(second), self._world.broker(probing))

    def _status(self, presence: Presence) -> bytes:
        """Return the retained status: what the city sees first of a gateway."""
        status: dict[str, Any] = {"state": presence.value, "version": self._version, "boot": self._clock.boot}
        dated = self._timekeeper.date(self._clock.boot, self._clock.boottime())
        if dated is not None:
            status |= {"since": round(dated.utc / 1e9, 3), "uncertainty": float(f"{dated.uncertainty:.3g}")}
        return json.dumps(status, separators=(",", ":")).encode()

    def _encoder(self, uplink: Uplink) -> Callable[[Pack], bytes | None]:
        """Return what makes a payload of a pack, or None while it is held back until it can be dated."""
        hold = round(self._config.journal.hold_undated * 1e9)
        compress = uplink.compression == "deflate"

        def encode(pack: Pack) -> bytes | None:
            dated = self._timekeeper.date(pack.boot, pack.base)
            now = self._clock.boottime()
            # Once this boot is dated, an earlier one that is not by now will never be.
            may_be_dated = dated is None and self._timekeeper.date(self._clock.boot, now) is None
            if may_be_dated and pack.stream is Stream.TELEMETRY and now < self._started + hold:
                return None
            not_before = self._timekeeper.not_before(pack.boot, pack.base) if dated is None else None
            return senml.payload(
                pack, self._config.gateway.id, dated, not_before=not_before, compress=compress, uplink=uplink.id
            )

        return encode

    # --- samplers --------------------------------------------------------------------------------------------------

    def _samplers(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return, by device, the work that its supervisor keeps going."""
        return {
            name: guarded(self._sampler(pipeline), pipeline, self._quarantine, self._clock, self._world.crumb)
            for name, pipeline in self._pipelines.items()
        }

    def _sampler(self, pipeline: Pipeline) -> Callable[[], Awaitable[None]]:
        device = pipeline.device
        match device.driver:
            case ListeningDriver() as driver:
                path, line = self._port_of(device)
                return partial(listen, pipeline, driver, path, line, self._ports, self._clock)
            case PollingDriver() as driver:
                bus = self._bus(device)
                self._polls[device.id] = partial(ask_once, pipeline, driver, bus)
                return partial(poll, pipeline, driver, bus, device.every or driver.every, self._clock)
            case InputDriver() as driver:
                from agent.sampler.edges import watch

                return partial(watch, pipeline, driver, self._world.gpio(), self._clock, self._utc)
            case RangingDriver() as driver:
                from agent.sampler.ranging import measure

                every = device.every or driver.every
                return partial(measure, pipeline, driver, self._world.gpio(), every, self._clock)
            case OutputDriver() as driver:
                from agent.sampler.output import drive

                return partial(drive, pipeline, driver, self._sounding(device), self._world.gpio(), self._clock)
            case BusOutputDriver() as driver:
                from agent.sampler.switch import follow

                every = device.every or driver.every
                sounding = self._sounding(device)
                return partial(follow, pipeline, driver, sounding, self._bus(device), every, self._clock)
            case GatewayDriver() as driver:
                from agent.sampler.gauge import observe

                view = GatewayView(self._world.files, self._link)
                return partial(observe, pipeline, driver, device.every or driver.every, view, self._clock)
            case _:
                message = f"{device.driver.name} is of no kind that can be sampled"
                raise TypeError(message)

    def _link(self, uplink: str | None) -> LinkCounts:
        """Return how an uplink is doing; the first one unless named."""
        return self._publishers[next(iter(self._publishers)) if uplink is None else uplink].link()

    def _bus(self, device: Device) -> Bus:
        path, line = self._port_of(device)
        if path not in self._buses:
            self._buses[path] = Bus(self._ports, path, line, self._clock)
        return self._buses[path]

    def _sounding(self, device: Device) -> Sounding:
        from agent.sampler.output import Sounding

        sounding = self._soundings[device.id] = Sounding()
        for name in device.sounds_for:
            self._pipelines[name].on_alarm.append(sounding.hear)
        return sounding

    def _note_outputs(self) -> None:
        """Write down what is about to be driven, for `roadside safe` when we are dead."""
        try:
            outputs.note(self._world.young, self._config.devices.values(), self._port_of)
        except OSError as error:
            self._log.error("outputs_not_noted", detail=str(error))

    # --- commands --------------------------------------------------------------------------------------------------

    async def _obey(self, commanded: asyncio.Future[Commander]) -> None:
        """Execute what comes; with the first command, all that it takes is imported and made."""
        commander = await asyncio.shield(commanded)
        await commander.run()

    def _hear(self, commanded: asyncio.Future[Commander], uplink: str, incoming: Incoming) -> None:
        if not commanded.done():
            commanded.set_result(self._commander())
        commanded.result().take(uplink, incoming)

    def _commander(self) -> Commander:
        from agent.commanding.commander import Commander
        from agent.commanding.memory import Memory
        from agent.commanding.signatures import Verifier
        from agent.commanding.verbs import Verbs

        verbs = Verbs(
            config=self._config,
            version=self._version,
            pipelines=self._pipelines,
            soundings=self._soundings,
            polls=self._polls,
            maintenance=self._maintenance,
            health=self._health.document,
            publish_health=self._publish_health_now,
            resend=resend.verb(self._journal, self._config.uplinks, self._clock),
            reloading=self._reloading,
        )
        rules = self._config.commands
        return Commander(
            verbs.table(),
            Memory(self._journal.keep, self._journal.kept),
            verifier=Verifier(self._config.gateway.id, rules.keys) if rules.require_signature else None,
            now=lambda: self._timekeeper.date(self._clock.boot, self._clock.boottime()),
            secure=self._secure,
            answers_on=lambda name, topic: self._publishers[name].answers_on(topic),
            answer=lambda name, payload, reply: self._publishers[name].answer(payload, reply.topic, reply.correlation),
            log=logs.get("commands"),
        )

    async def _secure(self) -> None:
        """Have the card keep what was begun; one that stalls does not hold up an alarm siren for long."""
        if self._securing is None or self._securing.done():
            self._securing = asyncio.create_task(self._journal.secure(), name="secure")
        await asyncio.wait({self._securing}, timeout=SECURE_WITHIN)

    async def _configure(self, request: dict[str, Any]) -> dict[str, Any]:
        """Try a configuration that somebody on the gateway gives."""
        text, minutes = request.get("toml"), request.get("minutes")
        if self._reloading is None or not isinstance(text, str) or not isinstance(minutes, int | float):
            raise ControlError(_("this agent does not understand that"))
        offline = not any(publisher.online for publisher in self._publishers.values())
        try:
            return {"problems": await self._reloading.configure(text, minutes, offline=offline)}
        except OSError as error:
            raise ControlError(_("the card does not take it: {error}").format(error=error)) from None

    # --- whoever looks on ------------------------------------------------------------------------------------------

    def _watch(self, request: dict[str, Any]) -> Answers:
        """Tell what devices measure, as it comes."""
        from agent.watching import watch  # nobody does most of the time, as with the two below

        return watch(request, self._pipelines, self._ports, self._port_of, self._clock)

    def _tell_ports(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Tell which devices are on which serial ports."""
        from agent.lending import on_ports

        return {"ports": on_ports(self._config.devices, self._port_of)}

    def _borrow(self, request: dict[str, Any]) -> Answers:
        """Lend a serial port."""
        from agent.lending import borrow

        return borrow(request, self._config.devices, self._port_of, self._ports)

    def _port_of(self, device: Device) -> tuple[str, SerialLine]:
        port = device.port or self._config.ports[device.bus or ""]
        if not isinstance(device.driver, ListeningDriver | PollingDriver | BusOutputDriver):
            raise TypeError(f"{device.driver.name} is on no serial line")
        return port.path, port.line or device.driver.line

    # --- life ------------------------------------------------------------------------------------------------------

    @property
    def proven(self) -> Proof | None:
        """What this run has shown that it can do."""
        return self._proven

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then end in order within 5 s: samplers, withheld, publishers, the last commit."""
        verbs: dict[str, Verb] = {
            "status": lambda _request: self._health.document(),
            "resend": resend.verb(self._journal, self._config.uplinks, self._clock),
            "configure": self._configure,
            "watch": self._watch,
            "ports": self._tell_ports,
            "borrow": self._borrow,
        }
        self._note_outputs()
        self._take_up(KEPT, self._maintenance.recall)
        commanded: asyncio.Future[Commander] = asyncio.get_running_loop().create_future()
        for name, uplink in self._config.uplinks.items():
            if uplink.commands:
                self._publishers[name].on_incoming = partial(self._hear, commanded, name)
        async with self._world.control(verbs), asyncio.TaskGroup() as group:
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
                    "health": self._publish_health,
                    "commit": self._journal.run,
                    "watchdog": self._feed_watchdog,
                    "commands": lambda: self._obey(commanded),
                }.items()
            ]
            publishers = [
                group.create_task(self._keep_going(f"uplink {name}", publisher.run), name=f"uplink {name}")
                for name, publisher in self._publishers.items()
            ]
            self._publish_about()
            self._manager.notify("READY=1", f"STATUS={self._health.line()}")
            self._log.info("started", gateway=self._config.gateway.id, version=self._version)
            await stop.wait()
            self._log.info("stopping")
            await self._end(samplers)
            self._maintenance.stop()
            for pipeline in self._pipelines.values():
                pipeline.stop()
            for bus in self._buses.values():
                bus.close()
            self._state_withheld_now()
            self._journal.close_packs()
            await self._end(publishers, GOODBYE_WITHIN)
            await self._end(services)
            await self._journal.close(COMMIT_WITHIN)
            self._world.close()
            self._log.info("stopped")

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
            is_dated = self._timekeeper.date(self._clock.boot, now) is not None
            if anchors or (not is_dated and now - kept_at >= BOOTS_EVERY * 1e9):  # else the next anchor tells
                kept_at = now
                self._journal.keep("boots", self._timekeeper.boots())
            for publisher in self._publishers.values():
                publisher.poke()  # what was held back may be datable now, or held for long enough
            await asyncio.sleep(CLOCK_EVERY)

    async def _state_withheld(self) -> None:
        while True:
            await asyncio.sleep(LEDGER_EVERY)
            self._state_withheld_now()

    def _state_withheld_now(self) -> None:
        entries = self._withheld.take(self._clock.boottime())
        with self._journal.together():
            self._journal.append(Stream.LEDGER, entries)
            for device in dict.fromkeys(entry.device for entry in entries):
                self._journal.keep(f"withheld/{device}", None)

    async def _publish_health(self) -> None:
        """Publish health every so often, and soon after anything in it changed its state."""
        last: tuple[object, ...] = ()
        rest = 0.0
        while True:
            states = self._health.states()
            if states != last or rest <= 0:
                last, rest = states, HEALTH_EVERY
                self._publish_health_now()
                self._manager.notify(f"STATUS={self._health.line()}")
            self._prove()
            await asyncio.sleep(HEALTH_LOOK)
            rest -= HEALTH_LOOK

    def _prove(self) -> None:
        """Write down what this run has shown that it can do, when that has changed."""
        now = Proof(
            self._world.release,
            sampled=any(pipeline.latest for pipeline in self._pipelines.values()),
            stored=self._journal.has_stored,
            delivered=self._journal.has_delivered,
            online=any(publisher.online for publisher in self._publishers.values()),
        )
        if now != self._proven:
            self._proven = now
            try:
                proof.write(self._world.young, now)
            except OSError as error:
                self._log.error("proof_not_written", detail=str(error))

    def _publish_health_now(self) -> None:
        self._publish("health", self._health.document(), retain=False)

    def _publish_about(self) -> None:
        gateway = self._config.gateway
        about: dict[str, Any] = {"gateway": gateway.id, "version": self._version, "devices": {}}
        if gateway.label is not None:
            about["label"] = {"en": gateway.label.en, "th": gateway.label.th}
        if gateway.latitude is not None:
            about["latitude"], about["longitude"] = gateway.latitude, gateway.longitude
        for name, device in self._config.devices.items():
            about["devices"][name] = {
                "driver": device.driver.name,
                "model": device.driver.title,
                "quantities": dict(device.driver.quantities(device.settings)),
                "silent_after": device.silent_after,
            }
            if device.label is not None:
                about["devices"][name]["label"] = {"en": device.label.en, "th": device.label.th}
        self._publish("about", about, retain=True)

    def _publish(self, topic: str, document: Mapping[str, Any], *, retain: bool) -> None:
        whole = _encoded(document)
        for name, publisher in self._publishers.items():
            selection = self._selections.get(name)
            payload = whole if selection is None else _part(name, selection, document)
            publisher.publish_document(topic, payload, retain=retain)

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


def _part(uplink: str, selection: Selection, document: Mapping[str, Any]) -> bytes:
    from agent.disclosure import part_for

    return _encoded(part_for(uplink, selection, document))


def _selection(uplink: Uplink) -> Selection:
    from agent.selection import Selection  # few gateways have one

    return Selection(uplink)


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
