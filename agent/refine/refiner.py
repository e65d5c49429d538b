"""The whole way of one device's measurements: what becomes a reading, what is withheld, what raises an alarm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.config.model import AlarmRule, Rules
from agent.readings import Reading, Record, Stream
from agent.refine.alarms import SILENT, STUCK, Alarms, Name
from agent.refine.calibration import Calibration
from agent.refine.duration import nanoseconds
from agent.refine.limits import Limit
from agent.refine.memory import Memory, from_json, to_json
from agent.refine.presence import UNHEARD, Presence
from agent.refine.stuck import Stuck
from agent.refine.thinning import Deadband, Summary, Thinning
from agent.refine.window import Window
from drivers.contract import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent.config.model import Device
    from drivers.contract import Measurement, Value

Records = list[tuple[Stream, Record]]

WARMING_UP = "warming_up"
SILENCE = Name(SILENT, "")


@dataclass(slots=True)
class Channel:
    """What is kept for one quantity."""

    quantity: str
    unit: str
    stream: Stream
    calibration: Calibration
    stuck: Stuck | None
    limits: list[Limit]
    thinning: Thinning
    timed: bool  # whether time alone may have something to say of it
    reason: Reason | None = None  # of the last measurement
    value: Value | None = None  # the last one, of an event device: it holds until the next
    tested: bool = False  # something of the open window was a test


class Refiner:
    """Refines the measurements of one device. All times are boottime in nanoseconds and never go back.

    `take` lets the time pass first, so that a late `tick` delays what it has to say and loses none of it.
    """

    def __init__(
        self,
        device: Device,
        *,
        boot: str,
        at: int,
        new_id: Callable[[], str],
        memory: Mapping[str, object] | None,
        withheld: Callable[[str, str, int], None],
    ) -> None:
        """Begin at `at`, with what an earlier run's `memory()` returned, if there was one.

        `withheld` is called with quantity, why and instant of each measurement that becomes no reading of its own.
        Raises ValueError if `memory` is not a memory.
        """
        self._device = device
        self._boot = boot
        self._started = at
        self._withheld = withheld
        earlier = from_json(memory) if memory is not None else None
        times = earlier.times if earlier is not None and earlier.boot == boot else None
        self._presence = Presence(nanoseconds(device.silent_after), nanoseconds(device.warm_up), at, times)
        self._alarms = Alarms(device.id, new_id, earlier.raised if earlier is not None else {})
        self._rules = {name: AlarmRule(name=name, quantity=name, equals=True) for name in device.driver.alarms}
        self._rules |= {rule.name: rule for rule in device.alarms}  # a rule may refine what the driver says of itself
        self._units = device.driver.quantities(device.settings)
        self._channels = {quantity: self._channel(quantity) for quantity in self._units}
        self._timed = [channel for channel in self._channels.values() if channel.timed]
        self._orphans = self._alarms.strangers(self._known())
        # A frame has many measurements of one instant: what is the same for all of them is looked at once.
        self._ticked = -1  # until when the time has passed
        self._heard = -1  # when the device was heard last
        self._warms_up = False  # whether it was warming up then
        self.dirty = True  # whether `memory` has something new that is worth keeping

    def take(self, measurement: Measurement, at: int) -> Records:
        """Take a measurement that arrived at `at`; it becomes a reading or is withheld, never both."""
        records = self.tick(at) if at != self._ticked else []
        instant = at - nanoseconds(measurement.age) if measurement.age else at
        channel = self._channels.get(measurement.quantity) or self._new_channel(measurement.quantity)
        if measurement.reason is None or measurement.reason not in UNHEARD:
            if at != self._heard:
                records += self._hear(at)
            if self._warms_up:
                channel.thinning.gap(at)
                self._withheld(measurement.quantity, WARMING_UP, instant)
                return records
        return records + self._judge(channel, measurement, at, instant)

    def tick(self, at: int) -> Records:
        """Let time pass: end windows and hold times, notice silence."""
        records: Records = []
        for name in self._orphans:
            records += self._events(name, stands=False, at=at)
        self._orphans.clear()
        for channel in self._timed:
            if summaries := channel.thinning.tick(at):
                records += ((channel.stream, self._summary(channel, summary)) for summary in summaries)
                channel.tested = self._alarms.testing
            for limit in channel.limits:
                if (value := limit.tick(at)) is not None:
                    records += self._events(_name(limit), stands=True, at=at, value=value)
        if at >= self._presence.deadline() and SILENCE not in self._alarms.raised:
            records += self._fall_silent(at)
        self._ticked = at
        return records

    def due(self) -> int | None:
        """Return when `tick` wants to be called, or None."""
        dues = [self._started] if self._orphans else []
        if SILENCE not in self._alarms.raised:
            dues.append(self._presence.deadline())
        for channel in self._timed:
            each = (channel.thinning.due(), *(limit.due() for limit in channel.limits))
            dues += (due for due in each if due is not None)
        return min(dues, default=None)

    def warming_up(self, at: int) -> bool:
        """Return whether what the device says now is withheld because it has just begun to speak."""
        return self._presence.warming_up(at)

    def standing(self) -> dict[str, str]:
        """Return the names of the alarms that are raised now by their ids, also of those that an earlier run raised."""
        return {raised.id: name.alarm for name, raised in self._alarms.raised.items()}

    def memory(self) -> dict[str, object]:
        """Return what must survive a restart, ready for JSON."""
        self.dirty = False
        return to_json(Memory(self._boot, self._presence.times(), self._alarms.raised))

    # --- one measurement ---------------------------------------------------------------------------------------------

    def _judge(self, channel: Channel, measurement: Measurement, at: int, instant: int) -> Records:
        value, reason = channel.calibration.apply(measurement.value, measurement.reason)
        events: Records = []
        if channel.stuck is not None and value is not None:
            stuck = channel.stuck.judge(value, at)
            events += self._events(Name(STUCK, channel.quantity), stands=stuck, at=instant, value=value)
            if stuck:
                value, reason = None, Reason.STUCK
        if channel.limits:
            events += self._limits(channel, value, at, instant)
        news = reason is not channel.reason or bool(events)
        channel.reason = reason
        if not channel.thinning.passes(value, reason, at, news=news):
            self._withheld(channel.quantity, channel.thinning.why, instant)
            return events
        reading = Reading(self._device.id, channel.quantity, instant, value, reason, channel.unit)
        reading.test = self._alarms.testing
        return [(channel.stream, reading), *events]

    def _limits(self, channel: Channel, value: Value | None, at: int, instant: int) -> Records:
        events: Records = []
        channel.value = value
        for limit in channel.limits:
            stands = limit.judge(value, at, raised=_name(limit) in self._alarms.raised)
            events += self._events(_name(limit), stands=stands, at=instant, value=value)
        return events

    # --- tests -------------------------------------------------------------------------------------------------------

    def set_testing(self, testing: bool, at: int) -> Records:
        """From now on all that is said is a test, or no longer is.

        At the end the alarms that were raised as a test are cleared and what is still so is raised anew, in earnest.
        """
        records = self.tick(at)
        self._alarms.testing = testing
        for channel in self._channels.values():
            channel.tested |= testing
            channel.thinning.gap(at)
            for limit in channel.limits:
                limit.interrupt()
        if not testing:
            for name in self._alarms.tests():
                records += self._events(name, stands=False, at=at)
            if self._device.driver.event:  # what is so may stay so without another word
                for channel in self._channels.values():
                    records += self._limits(channel, channel.value, at, at)
        return records

    def acknowledge(self, id_: str, at: int, by: str) -> Records:
        """Return the record of somebody's having taken note of an alarm; nothing if none with that id stands."""
        record = self._alarms.acknowledge(id_, at, by)
        return [] if record is None else [(Stream.ALARM, record)]

    # --- the device as a whole ---------------------------------------------------------------------------------------

    def _fall_silent(self, at: int) -> Records:
        records = self._events(SILENCE, stands=True, at=at)
        for channel in self._channels.values():
            channel.thinning.gap(at)
            if channel.stuck is not None:
                channel.stuck.interrupt()
            for limit in channel.limits:
                limit.interrupt()
            channel.reason = Reason.SILENT
            channel.value = None
            reading = Reading(self._device.id, channel.quantity, at, None, Reason.SILENT, channel.unit)
            reading.test = self._alarms.testing
            records.append((channel.stream, reading))
        return records

    def _hear(self, at: int) -> Records:
        self.dirty |= self._presence.heard(at)
        self._heard, self._warms_up = at, self._presence.warming_up(at)
        if SILENCE not in self._alarms.raised:
            return []
        for channel in self._channels.values():
            channel.thinning.gap(at)
        return self._events(SILENCE, stands=False, at=at)

    def _events(self, name: Name, *, stands: bool, at: int, value: Value | None = None) -> Records:
        events = self._alarms.set(name, stands=stands, at=at, value=value)
        self.dirty |= bool(events)
        return [(Stream.ALARM, event) for event in events]

    def _summary(self, channel: Channel, summary: Summary) -> Reading:
        quantity = channel.quantity + summary.suffix
        reading = Reading(self._device.id, quantity, summary.at, summary.value, summary.reason, channel.unit)
        reading.partial = summary.partial
        reading.test = channel.tested
        return reading

    # --- what is made at the start -----------------------------------------------------------------------------------

    def _new_channel(self, quantity: str) -> Channel:
        """Make one for a quantity that the driver had not spoken of; what is timed in it may be due at once."""
        channel = self._channels[quantity] = self._channel(quantity)
        if channel.timed:
            self._timed.append(channel)
        self._ticked = -1
        return channel

    def _channel(self, quantity: str) -> Channel:
        driver = self._device.driver
        rules = self._device.rules.get(quantity, Rules())
        stuck = None
        if rules.stuck_after is not None and not driver.event:
            known = self._alarms.raised.get(Name(STUCK, quantity))
            stuck = Stuck(nanoseconds(rules.stuck_after), known.value if known is not None else None)
        limits = [Limit(rule, lasting=driver.event) for rule in self._rules.values() if rule.quantity == quantity]
        return Channel(
            quantity=quantity,
            unit=self._units.get(quantity, ""),
            stream=Stream.ALARM if quantity in driver.alarms else Stream.TELEMETRY,
            calibration=Calibration(rules),
            stuck=stuck,
            limits=limits,
            thinning=_thinning(rules, self._started),
            timed=rules.window is not None or (driver.event and bool(limits)),
            tested=self._alarms.testing,
        )

    def _known(self) -> Iterator[Name]:
        """Yield every alarm that can be raised and cleared."""
        yield SILENCE
        for channel in self._channels.values():
            if channel.stuck is not None:
                yield Name(STUCK, channel.quantity)
            for limit in channel.limits:
                yield _name(limit)


def _name(limit: Limit) -> Name:
    return Name(limit.rule.name, limit.rule.quantity)


def _thinning(rules: Rules, at: int) -> Thinning:
    if rules.window is not None:
        return Window(nanoseconds(rules.window), at)
    if rules.deadband is not None:
        return Deadband(rules.deadband, nanoseconds(rules.heartbeat))
    return Thinning()
