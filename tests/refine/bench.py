"""A refiner on the bench: seconds instead of nanoseconds, restarts, and a list of all that came out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count

from agent.config.model import Device
from agent.readings import AlarmEvent, Reading, Stream
from agent.refine import Refiner
from drivers.contract import Driver, Measurement, Reason

SECOND = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A driver without settings."""


def driver(*quantities, event=False, alarms=()):
    return Driver(
        name="probe",
        title="A probe",
        settings=Settings,
        quantities=lambda _: dict.fromkeys(quantities or ("level",), "m"),
        event=event,
        alarms=alarms,
    )


def device(*quantities, event=False, states=(), silent_after=60.0, warm_up=0.0, rules=None, alarms=()):
    """Return a device; `rules` by quantity, or those of "level"; `states` are the driver's own alarms."""
    if rules is not None and not isinstance(rules, dict):
        rules = {"level": rules}
    return Device(
        id="probe-1",
        driver=driver(*quantities, event=event, alarms=states),
        settings=Settings(),
        silent_after=silent_after,
        warm_up=warm_up,
        rules=rules or {},
        alarms=tuple(alarms),
    )


class Bench:
    """Feeds one device's refiner; `at` is in seconds since boot."""

    def __init__(self, config, at=0.0, boot="b1"):
        self.records = []
        self.withheld = []
        self._ids = count(1)
        self._start(config, at, boot, None)

    def _start(self, config, at, boot, memory):
        self.config = config
        self.boot = boot
        self.refiner = Refiner(
            config,
            boot=boot,
            at=round(at * SECOND),
            new_id=lambda: f"{next(self._ids):016x}",
            memory=memory,
            withheld=lambda quantity, why, at: self.withheld.append((quantity, why, at / SECOND)),
        )

    def restart(self, at, *, config=None, boot=None):
        """Kill the agent and start it again with what it remembered."""
        self._start(config or self.config, at, boot or self.boot, json.loads(json.dumps(self.refiner.memory())))

    def take(self, at, value, quantity="level", age=0.0):
        """Measure; return what came out of it. A Reason stands for a measurement without value."""
        value, reason = (None, value) if isinstance(value, Reason) else (value, None)
        return self._keep(self.refiner.take(Measurement(quantity, value, reason, age), round(at * SECOND)))

    def tick(self, at):
        return self._keep(self.refiner.tick(round(at * SECOND)))

    def due(self):
        due = self.refiner.due()
        return None if due is None else due / SECOND

    def _keep(self, records):
        for stream, record in records:
            assert stream is Stream.ALARM or isinstance(record, Reading)
        self.records += records
        return [short(record) for _, record in records]

    @property
    def events(self):
        return [record for _, record in self.records if isinstance(record, AlarmEvent)]

    @property
    def readings(self):
        return [record for _, record in self.records if isinstance(record, Reading)]


def short(record):
    """Write a record as one would tell it."""
    if isinstance(record, AlarmEvent):
        return f"{'+' if record.raised else '-'}{record.alarm}"
    return record.value if record.reason is None else record.reason
