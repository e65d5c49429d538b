"""What the agent says of itself: one document for the health topic, the control socket and systemd's status line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from agent.i18n import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.journal.journal import Journal
    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock
    from agent.timekeeper import Timekeeper
    from agent.uplink.publisher import Publisher
    from agent.uplink.x509 import Validity

SILENT = "silent"
CERTIFICATE_EXPIRES = "certificate_expires"  # a third of its life is left, or less
CERTIFICATE_EXPIRED = "certificate_expired"
WELL = frozenset({"ok", "waiting", "warming_up"})


class Health:
    """Gathers the state of every part when asked; holds none itself."""

    def __init__(
        self,
        *,
        gateway: str,
        version: str,
        config_problems: list[str],
        clock: Clock,
        timekeeper: Timekeeper,
        journal: Journal,
        pipelines: Mapping[str, Pipeline],
        publishers: Mapping[str, Publisher],
        tested: Callable[[], Mapping[str, float]] = dict,
        configuring: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Take the parts.

        `tested` tells which devices are being tested, and for how many more seconds; `configuring` what became of the
        configuration that was given last.
        """
        self._gateway = gateway
        self._version = version
        self._config_problems = config_problems  # of a configuration that does not run because of them
        self._clock = clock
        self._timekeeper = timekeeper
        self._journal = journal
        self._pipelines = pipelines
        self._publishers = publishers
        self._tested = tested
        self._configuring = configuring
        self._started = clock.boottime()
        self.failures: Counter[str] = Counter()  # of parts of the agent itself, by name: each a defect of ours

    def document(self) -> dict[str, Any]:
        """Return everything, ready for JSON. Times are seconds; `ago` counts back from now."""
        state = self._timekeeper.state()
        now = self._timekeeper.date(self._clock.boot, self._clock.boottime())
        journal = self._journal.status()
        document: dict[str, Any] = {
            "gateway": self._gateway,
            "version": self._version,
            "running_for": self._seconds_since(self._started),
            "boot": self._clock.boot,
            "boottime": round(self._clock.boottime() / 1e9, 3),
            "utc": round(now.utc / 1e9, 3) if now is not None else None,
            "clock": {
                "synchronised": state.sync is not None,
                "source": state.sync.source if state.sync else None,
                "uncertainty": state.uncertainty,
                "floor": round(state.floor / 1e9, 3),
                "wall": round(self._clock.utc() / 1e9, 3),
                "fault": state.fault,
            },
            "devices": {name: self._device(pipeline) for name, pipeline in self._pipelines.items()},
            "journal": {
                "epoch": journal.epoch,
                "next": journal.next,
                "waiting": journal.waiting,
                "young_bytes": journal.young_bytes,
                "card_bytes": journal.card_bytes,
                "commits": journal.commits,
                "committed_bytes": journal.committed_bytes,
                "unkept": journal.unkept,
                "faults": journal.faults,
            },
            "uplinks": {name: self._uplink(publisher) for name, publisher in self._publishers.items()},
        }
        if tested := self._tested():
            document["test"] = dict(tested)
        if self.failures:
            document["failures"] = dict(self.failures)
        configuration = dict(self._configuring())
        if self._config_problems:
            configuration |= {"running": "last_good", "problems": self._config_problems}
        if configuration:
            document["configuration"] = configuration
        return document

    def states(self) -> tuple[object, ...]:
        """Return what makes health worth publishing at once when it changes: cheap enough for a look each second."""
        states: list[object] = [*self._tested(), *self._journal.faults, *self.failures]
        states.append(self._configuring().get("trial"))
        for pipeline in self._pipelines.values():
            states += (self._state(pipeline), *pipeline.faults)  # kinds, not counts
        for publisher in self._publishers.values():
            states += publisher.condition
            states += map(self._certificate_state, publisher.certificates.values())
        clock = self._timekeeper.state()
        states += (clock.sync is None, clock.fault)
        return tuple(states)

    def _device(self, pipeline: Pipeline) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for quantity, latest in pipeline.latest.items():
            value: dict[str, Any] = {"ago": self._seconds_since(latest.at)}
            if latest.measurement.reason is not None:
                value["reason"] = latest.measurement.reason.value
            else:
                value["value"] = latest.measurement.value
            if unit := pipeline.unit(quantity):
                value["unit"] = unit
            values[quantity] = value
        device: dict[str, Any] = {
            "driver": pipeline.device.driver.name,
            "state": self._state(pipeline),
            "values": values,
            "alarms": pipeline.alarms,  # also when there are none: that ends those of which the agent knows nothing
        }
        if pipeline.trouble is not None:
            device["trouble"] = {"port": pipeline.trouble_port, "detail": pipeline.trouble_text}
        if pipeline.faults:
            device["faults"] = dict(pipeline.faults)
        return device

    def _state(self, pipeline: Pipeline) -> str:
        if pipeline.trouble is not None:
            return pipeline.trouble
        if SILENT in pipeline.alarms.values():
            return SILENT
        if pipeline.warming_up:
            return "warming_up"
        return "ok" if pipeline.latest else "waiting"

    def _uplink(self, publisher: Publisher) -> dict[str, Any]:
        status = publisher.snapshot()
        certificates = {whose: self._certificate(dates) for whose, dates in status.certificates.items()}
        return {
            "state": status.state,
            "for": round(status.lasted, 1),
            "fault": status.fault,
            "message": status.message,
            "broker": status.broker,
            **({"first": status.first._asdict()} if status.first is not None else {}),
            "published": status.tally.published,
            "acked": status.tally.acked,
            "refused": dict(status.tally.refused),
            "set_aside": status.set_aside,
            "in_flight": status.in_flight,
            "reconnects": status.reconnects,
            **({"budget": status.budget._asdict()} if status.budget is not None else {}),
            **({"renewal": status.renewal} if status.renewal else {}),
            **({"certificates": certificates} if certificates else {}),
        }

    def _certificate(self, dates: Validity) -> dict[str, Any]:
        """Return until when a certificate is valid; its days left are known only while the time of day is."""
        state = self._certificate_state(dates)
        now = self._now()
        days = None if now is None else int((dates.ends - now) // 86_400)
        return {"state": state, "until": int(dates.ends), "days": days}

    def _certificate_state(self, dates: Validity) -> str:
        now = self._now()
        if now is None or not dates.ends_soon(now):
            return "ok"
        return CERTIFICATE_EXPIRED if now >= dates.ends else CERTIFICATE_EXPIRES

    def _now(self) -> float | None:
        """Return the time of day in seconds since 1970; None while it is not known."""
        dated = self._timekeeper.date(self._clock.boot, self._clock.boottime())
        return None if dated is None else dated.utc / 1e9

    def line(self) -> str:
        """Return one line that a person can read: `6 devices, 1 silent; city up; 0 waiting`."""
        states = [self._state(pipeline) for pipeline in self._pipelines.values()]
        devices = ngettext("{n} device", "{n} devices", len(states)).format(n=len(states))
        bad = sum(state not in WELL for state in states)
        if bad:
            devices += ", " + ngettext("{n} not answering", "{n} not answering", bad).format(n=bad)
        links = ", ".join(f"{name} {publisher.snapshot().state}" for name, publisher in self._publishers.items())
        waiting = max((sum(one.values()) for one in self._journal.status().waiting.values()), default=0)
        return "; ".join((devices, links or _("no uplink"), _("{n} waiting").format(n=waiting)))

    def _seconds_since(self, at: int) -> float:
        return round((self._clock.boottime() - at) / 1e9, 1)
