"""Devices on pins: a gauge that remembers, and a siren that follows alarms and ends in the safe state."""

import asyncio
import json
from datetime import UTC, date, datetime

import pytest

from agent.readings import AlarmEvent
from agent.sampler.edges import watch
from agent.sampler.output import Sounding, drive
from agent.sampler.reminder import Reminder
from agent.sampler.supervise import supervise
from drivers.contract import Measurement
from drivers.devices import button, rain_gauge, siren
from drivers.ports.scripted import ScriptedGpioPorts, ScriptedInput, ScriptedOutput
from drivers.seams import PortError, PortFault
from tests.sampler.bench import device, on_bench, passes

GAUGE = device(rain_gauge.DRIVER, "rain-1", rain_gauge.Settings(pin=17, hold=0.01, report=300.0))
SIREN = device(siren.DRIVER, "siren-1", siren.Settings(pin=22, longest_on=60.0, report=900.0))


def unknown():
    """The time of day."""


def tips(*times):
    return [edge for at in times for edge in ((at, True), (at + 0.1, False))]


def gauge(bench, pipeline, edges, **more):
    line = ScriptedInput(bench.clock.seconds, [(0.1, False), *edges], start=False, **more)
    return watch(pipeline, rain_gauge.DRIVER, ScriptedGpioPorts({17: line}), bench.clock, unknown)


def totals(bench):
    """What went up but for the rate."""
    return [(name, value) for name, value in bench.sent() if name != "rain-1/rain_rate"]


# --- inputs --------------------------------------------------------------------------------------------------------


def test_each_tip_is_a_reading_of_the_total(tmp_path):
    async def test(bench):
        pipeline = bench.pipeline(GAUGE)
        async with bench.running(gauge(bench, pipeline, tips(1, 2, 3.5))):
            await passes(5)
        assert totals(bench) == [("rain-1/rain", pytest.approx(total)) for total in (0, 0.2, 0.4, 0.6)]

    on_bench(tmp_path, test)


def test_the_total_goes_on_after_a_restart(tmp_path):
    async def before(bench):
        async with bench.running(gauge(bench, bench.pipeline(GAUGE), tips(1, 2))):
            await passes(5)

    async def after(bench):
        async with bench.running(gauge(bench, bench.pipeline(GAUGE), tips(1))):
            await passes(5)
        assert totals(bench) == [("rain-1/rain", pytest.approx(total)) for total in (0.4, 0.6)]

    on_bench(tmp_path, before)
    on_bench(tmp_path, after)


def test_a_tip_is_kept_before_its_reading_so_that_no_crash_can_lose_it(tmp_path):
    kept = []

    async def test(bench):
        pipeline = bench.pipeline(GAUGE)
        bench.journal.on_new(lambda: kept.append(bench.journal.kept("driver/rain-1")["rain"]))
        async with bench.running(gauge(bench, pipeline, tips(1, 2))):
            await passes(5)
        told = [value for name, value in bench.sent() if name == "rain-1/rain"]
        assert kept == pytest.approx(told)

    on_bench(tmp_path, test)


def test_edges_that_came_too_fast_are_a_fault_that_says_how_many(tmp_path, caplog):
    async def test(bench):
        pipeline = bench.pipeline(GAUGE)
        async with bench.running(gauge(bench, pipeline, [], dropped=12)):
            await passes(1)
        assert pipeline.faults == {"overrun": 1}

    on_bench(tmp_path, test)
    (told,) = [record for record in caplog.records if "bad_data" in record.getMessage()]
    assert "12 edges" in told.fields["detail"]


def test_a_pin_that_cannot_be_had_is_a_port_error(tmp_path):
    async def test(bench):
        with pytest.raises(PortError) as caught:
            await watch(bench.pipeline(GAUGE), rain_gauge.DRIVER, ScriptedGpioPorts({}), bench.clock, unknown)
        assert caught.value.fault is PortFault.MISSING

    on_bench(tmp_path, test)


def reminded(tmp_path, utc):
    """What goes up of the yearly test of a door contact, in a run of two hours."""
    settings = button.Settings(pin=17, measures="open", tested_on=date(2026, 5, 1), report=300.0)
    door = device(button.DRIVER, "door-1", settings)

    async def test(bench):
        line = ScriptedInput(bench.clock.seconds, [], start=False)
        ports = ScriptedGpioPorts({17: line})
        async with bench.running(watch(bench.pipeline(door), button.DRIVER, ports, bench.clock, lambda: utc(bench))):
            await passes(7000)
        found.extend(value for name, value in bench.sent() if name == "door-1/test_due")

    found = []
    on_bench(tmp_path, test)
    return found


def nanoseconds(*day):
    return int(datetime(*day, tzinfo=UTC).timestamp()) * 10**9


def test_the_yearly_test_is_due_after_a_year(tmp_path):
    assert reminded(tmp_path / "before", lambda _: nanoseconds(2027, 4, 30)) == [False, False]
    assert reminded(tmp_path / "after", lambda _: nanoseconds(2027, 5, 1)) == [True, True]
    assert Reminder(date(2024, 2, 29)).look(0.0, nanoseconds(2025, 3, 1)) == [Measurement("test_due", value=True)]
    assert Reminder(date(2024, 2, 29)).look(0.0, nanoseconds(2025, 2, 28)) == [Measurement("test_due", value=False)]


def test_nobody_is_reminded_while_the_time_of_day_is_not_known(tmp_path):
    assert reminded(tmp_path / "never", lambda _: None) == []
    late = reminded(tmp_path / "late", lambda bench: nanoseconds(2027, 5, 1) if bench.clock.seconds() > 2000 else None)
    assert late == [True, True]


def test_the_day_comes_while_the_agent_runs(tmp_path):
    def utc(bench):
        return nanoseconds(2027, 4, 30) + round((bench.clock.seconds() + 86_400 - 1000) * 1e9)

    assert reminded(tmp_path, utc) == [False, True, True]


# --- outputs -------------------------------------------------------------------------------------------------------


class Recorded:
    """Implements `drivers.seams.OutputLine` and `GpioPorts`: notes when the level changes."""

    def __init__(self, bench):
        self._bench = bench
        self.levels = []

    def output(self, pin, *, active, initial):
        assert (pin, active) == (22, "high")
        self.write(initial)
        return self

    def write(self, active):
        if not self.levels or self.levels[-1][1] != active:
            self.levels.append((round(self._bench.clock.seconds(), 3), active))

    def close(self):
        self.levels.append("closed")


def alarm(number, *, raised, name="pressed"):
    return AlarmEvent("panic-1", name, 0, f"{number:016x}", raised=raised)


def test_the_siren_is_on_while_any_of_its_alarms_is_raised_and_off_at_the_end(tmp_path):
    async def test(bench):
        pipeline, sounding, pin = bench.pipeline(SIREN), Sounding(), Recorded(bench)
        async with bench.running(drive(pipeline, siren.DRIVER, sounding, pin, bench.clock)):
            for at, event in ((1, alarm(1, raised=True)), (2, alarm(2, raised=True)), (3, alarm(1, raised=False)),
                              (4, alarm(2, raised=False)), (5, alarm(3, raised=True))):  # fmt: skip
                await passes(at - bench.clock.seconds())
                sounding.hear(event)
            await passes(1)
        assert pin.levels == [(0, False), (1, True), (4, False), (5, True), (6, False), "closed"]
        assert bench.sent() == [("siren-1/on", state) for state in (False, True, False, True, False)]

    on_bench(tmp_path, test)


def test_the_siren_goes_off_after_its_longest_time_and_another_alarm_starts_it_again(tmp_path):
    async def test(bench):
        pipeline, sounding, pin = bench.pipeline(SIREN), Sounding(), Recorded(bench)
        async with bench.running(drive(pipeline, siren.DRIVER, sounding, pin, bench.clock)):
            await passes(1)
            sounding.hear(alarm(1, raised=True))
            await passes(99)
            sounding.hear(alarm(2, raised=True))
            await passes(1)
        assert pin.levels[:4] == [(0, False), (1, True), (61, False), (100, True)]

    on_bench(tmp_path, test)


@pytest.mark.parametrize("name", ["silent", "stuck"])
def test_a_broken_sensor_does_not_wake_the_neighbourhood(tmp_path, name):
    async def test(bench):
        pipeline, sounding, pin = bench.pipeline(SIREN), Sounding(), Recorded(bench)
        async with bench.running(drive(pipeline, siren.DRIVER, sounding, pin, bench.clock)):
            sounding.hear(alarm(1, raised=True, name=name))
            await passes(10)
        assert pin.levels == [(0, False), "closed"]

    on_bench(tmp_path, test)


def test_a_pin_that_fails_is_given_back(tmp_path):
    class Failing(ScriptedOutput):
        closed = False

        def write(self, active):
            super().write(active)
            if self.wrote:
                raise PortError(PortFault.FAILED, "GPIO22", "the chip does not answer")

        @property
        def wrote(self):
            return len(self._levels) < 2

        def close(self):
            self.closed = True

    async def test(bench):
        pipeline, sounding, pin = bench.pipeline(SIREN), Sounding(), Failing(False, True, False)
        sounding.hear(alarm(1, raised=True))
        with pytest.raises(PortError):
            await drive(pipeline, siren.DRIVER, sounding, ScriptedGpioPorts({22: pin}), bench.clock)
        assert pin.closed
        pin.done()

    on_bench(tmp_path, test)


def test_what_is_remembered_is_plain_json(tmp_path):
    async def test(bench):
        async with bench.running(gauge(bench, bench.pipeline(GAUGE), tips(1))):
            await passes(2)
        assert json.loads(json.dumps(bench.journal.kept("driver/rain-1"))) == {"rain": 0.2}

    on_bench(tmp_path, test)


def test_a_siren_whose_pin_fails_sounds_as_soon_as_the_pin_works_again_while_the_alarm_stands(tmp_path):
    class Shaky(Recorded):
        broken = False

        def write(self, active):
            if self.broken:
                raise PortError(PortFault.FAILED, "GPIO22", "the chip does not answer")
            super().write(active)

    async def test(bench):
        pipeline, sounding, pin = bench.pipeline(SIREN), Sounding(), Shaky(bench)

        def work():
            return drive(pipeline, siren.DRIVER, sounding, pin, bench.clock)

        async with bench.running(supervise(work, pipeline, bench.clock, bench.chance)):
            await passes(1)
            pin.broken = True
            sounding.hear(alarm(1, raised=True))
            await passes(30)
            pin.broken = False
            await passes(30)
            assert pin.levels[-1][1] is True
            sounding.hear(alarm(1, raised=False))
            await passes(1)
            assert pin.levels[-1][1] is False

    on_bench(tmp_path, test)


class Storm(ScriptedInput):
    """An input whose edges come as fast as they are taken."""

    def __init__(self):
        self.taken = 0

    def active(self):
        return False

    async def wait(self, _until):
        self.taken += 1
        return [(float(self.taken), bool(self.taken % 2))]

    def dropped(self):
        return 0

    def close(self):
        pass


def test_a_storm_of_edges_lets_the_others_have_their_turn(tmp_path):
    async def test(bench):
        storm = Storm()
        async with bench.running(
            watch(bench.pipeline(GAUGE), rain_gauge.DRIVER, ScriptedGpioPorts({17: storm}), bench.clock, unknown)
        ):
            for _ in range(5):
                await asyncio.sleep(0)
            assert storm.taken <= 10

    on_bench(tmp_path, test)
