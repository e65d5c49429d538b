"""The way of one device's measurements into the journal, and what is known of the device on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from agent.memories import read_numbers
from agent.readings import AlarmEvent, Record, Stream
from agent.refine import Refiner
from drivers.contract import Fault, TimeFix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.config.model import Device
    from agent.journal.journal import Journal
    from agent.logs import Log, Repeats
    from agent.seams import Clock, Random
    from agent.withheld import Withheld
    from drivers.contract import Item, Measurement
    from drivers.seams import PortError

NANOSECONDS = 1_000_000_000


@dataclass(slots=True)
class Latest:
    """The last measurement of a quantity, before anything was done to it."""

    measurement: Measurement
    at: int  # boottime in nanoseconds


class Pipeline:
    """Refines what a device's driver yields and appends it to the journal. All methods run on the loop."""

    def __init__(
        self,
        device: Device,
        *,
        journal: Journal,
        clock: Clock,
        random: Random,
        withheld: Withheld,
        log: Log,
        repeats: Repeats,
        on_time: Callable[[TimeFix, int], None],
    ) -> None:
        self.device = device
        self._units = device.driver.quantities(device.settings)
        self.latest: dict[str, Latest] = {}
        self.faults: Counter[str] = Counter()
        self.trouble: str | None = None  # why the device is not being read now: a port's fault, or "quarantined"
        self.trouble_text = ""
        self.trouble_port = ""
        self.on_alarm: list[Callable[[AlarmEvent], None]] = []
        self.on_items: list[Callable[[list[Item], int], None]] = []  # of whoever is watching
        self._journal = journal
        self._clock = clock
        self._withheld = withheld
        self._withheld_changed = False
        self._log = log
        self._repeats = repeats
        self._on_time = on_time
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0
        self._refiner = self._make_refiner(lambda: f"{random.bits(64):016x}")

    def _make_refiner(self, new_id: Callable[[], str]) -> Refiner:
        def make(memory: Mapping[str, object] | None) -> Refiner:
            return Refiner(
                self.device,
                boot=self._clock.boot,
                at=self._clock.boottime(),
                new_id=new_id,
                memory=memory,
                withheld=self._withhold,
            )

        try:
            return make(self._journal.kept(f"refine/{self.device.id}"))
        except ValueError as error:  # kept by a version that did it otherwise: the alarms start anew
            self._log.warning("memory_unreadable", device=self.device.id, detail=str(error))
            return make(None)

    @property
    def alarms(self) -> dict[str, str]:
        """The names of the alarms that are raised now, by their ids."""
        return self._refiner.standing()

    def set_testing(self, testing: bool) -> None:
        """From now on all that the device says is marked as a test, or no longer is."""
        self._store(self._refiner.set_testing(testing, self._clock.boottime()))

    def acknowledge(self, id_: str, by: str) -> bool:
        """Record that somebody has taken note of an alarm; returns whether one of this device's has that id."""
        records = self._refiner.acknowledge(id_, self._clock.boottime(), by)
        self._store(records)
        return bool(records)

    @property
    def warming_up(self) -> bool:
        """Whether the device has just begun to speak, and what it says is withheld."""
        return bool(self.latest) and self._refiner.warming_up(self._clock.boottime())

    def unit(self, quantity: str) -> str:
        """Return the unit of a quantity, empty if it has none."""
        return self._units.get(quantity, "")

    # --- what the driver yields ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let time begin: silence is noticed although nothing ever comes."""
        self._store([])

    def take(self, items: Iterable[Item], at: int) -> None:
        """Take what a driver made of bytes or edges that came at `at` (boottime in nanoseconds)."""
        records: list[tuple[Stream, Record]] = []
        if self.on_items:
            items = list(items)
            for callback in self.on_items:
                callback(items, at)
        try:
            for item in items:
                if isinstance(item, Fault):
                    self._count(item)
                    continue
                if isinstance(item, TimeFix):
                    self._on_time(item, at)
                    continue
                measurement = _sayable(item) if isinstance(item.value, str) else item
                self.latest[measurement.quantity] = Latest(measurement, at)
                records += self._refiner.take(measurement, at)
                if self.trouble is not None:
                    self._is_well(self.trouble)
        finally:
            self._store(records)  # what the refiner has said must be kept, whatever becomes of the items behind it

    def _withhold(self, quantity: str, why: str, at: int) -> None:
        self._withheld.add(self.device.id, quantity, why, at)
        self._withheld_changed = True

    def _store(self, records: list[tuple[Stream, Record]]) -> None:
        with self._journal.together():
            for stream, run in groupby(records, key=itemgetter(0)):
                self._journal.append(stream, [record for _, record in run])
            if self._withheld_changed:
                self._withheld_changed = False
                self._journal.keep(f"withheld/{self.device.id}", self._withheld.memory(self.device.id))
            if self._refiner.dirty:
                self._journal.keep(f"refine/{self.device.id}", self._refiner.memory())
        for _, record in records:
            if isinstance(record, AlarmEvent):
                self._alarm(record)
        self._wind()

    def _alarm(self, event: AlarmEvent) -> None:
        self._log.warning(
            "alarm_raised" if event.raised else "alarm_cleared", device=event.device, alarm=event.alarm, id=event.id
        )
        for callback in self.on_alarm:
            callback(event)

    # --- time ------------------------------------------------------------------------------------------------------

    def _wind(self) -> None:
        """Have `_ring` called when the refiner wants to be told that time has passed."""
        due = self._refiner.due()
        if due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        wait = max(0, due - self._clock.boottime()) / NANOSECONDS
        self._timer = asyncio.get_running_loop().call_later(wait, self._ring)
        self._timer_due = due

    def _ring(self) -> None:
        self._timer = None
        self._store(self._refiner.tick(self._clock.boottime()))

    def stop(self) -> None:
        """Let no more time pass."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- what a driver remembers -----------------------------------------------------------------------------------

    def recall(self) -> Mapping[str, float]:
        """Return what the driver wanted kept in an earlier run."""
        kept = self._journal.kept(f"driver/{self.device.id}")
        if kept is None:
            return {}
        try:
            return read_numbers(kept)
        except ValueError as error:
            self._log.warning("memory_unreadable", device=self.device.id, detail=str(error))
            return {}

    def remember(self, memory: Mapping[str, float]) -> None:
        """Keep what the driver wants kept, if it changed. To be called before what it yielded is taken.

        So a crash in between costs the report of a rain gauge's tip, which the next one carries, and never the tip.
        """
        if memory and memory != self._journal.kept(f"driver/{self.device.id}"):
            self._journal.keep(f"driver/{self.device.id}", dict(memory))

    # --- trouble ---------------------------------------------------------------------------------------------------

    def _count(self, fault: Fault) -> None:
        self.faults[fault.kind.value] += 1
        now = self._clock.boottime() / NANOSECONDS
        if times := self._repeats.again((self.device.id, fault.kind), now):
            self._log.warning(
                "bad_data", device=self.device.id, fault=fault.kind.value, detail=fault.detail or None, times=times
            )

    def port_fault(self, error: PortError) -> None:
        """Note that the port cannot be used."""
        self._is_ill(error.fault.value, str(error), path=error.path)

    def quarantine(self, error: Exception) -> None:
        """Note that the driver itself failed: it is started anew, the others never notice."""
        self.faults["driver_failed"] += 1
        self._is_ill("quarantined", repr(error), trace=error)

    def set_aside(self, seconds: float) -> None:
        """Note that the device held up the whole agent, and is not sampled for so long."""
        self._is_ill("quarantined", f"it held up the whole agent; it is tried again in {seconds / 60:.0f} min")

    def overdue(self) -> float:
        """Return for how many seconds something has been due that was not done: silence unnoticed, a mean not sent."""
        due = self._refiner.due()
        return 0.0 if due is None else max(0, self._clock.boottime() - due) / NANOSECONDS

    def _is_ill(self, trouble: str, text: str, *, trace: Exception | None = None, path: str | None = None) -> None:
        self.trouble, self.trouble_text, self.trouble_port = trouble, text, path or ""
        now = self._clock.boottime() / NANOSECONDS
        if times := self._repeats.again((self.device.id, "port", trouble), now):
            self._log.error(
                "device_unreadable",
                trace=trace,
                device=self.device.id,
                why=trouble,
                path=path,
                detail=text,
                times=times,
            )

    def _is_well(self, trouble: str) -> None:
        self.trouble, self.trouble_text = None, ""
        now = self._clock.boottime() / NANOSECONDS
        if spell := self._repeats.well((self.device.id, "port", trouble), now):
            self._log.info("device_readable", device=self.device.id, was=trouble, seconds=round(spell.lasted, 1))


def _sayable(measurement: Measurement) -> Measurement:
    """Replace in a text what UTF-8 cannot say: JSON may escape half a surrogate pair."""
    text = str(measurement.value)
    return measurement._replace(value=text.encode(errors="replace").decode())
