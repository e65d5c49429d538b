"""The way of one device's measurements into the journal."""

from agent.config.model import AlarmRule, Rules
from agent.journal.pack import Lane
from agent.refine import Refiner
from drivers.contract import Measurement, Reason
from drivers.seams import PortError, PortFault
from tests.sampler.bench import TALKER, device, on_bench, passes

FLOOD = AlarmRule(name="flood", quantity="level", above=2.5, clear=2.3)


def level(value):
    return [Measurement("level", value)]


def test_alarms_are_told_to_whoever_listens_with_one_id_from_raise_to_clear(tmp_path):
    async def test(bench):
        heard = []
        pipeline = bench.pipeline(device(TALKER, alarms=(FLOOD,)))
        pipeline.on_alarm.append(heard.append)
        for value in (2.0, 2.6, 2.4, 2.2):
            pipeline.take(level(value), bench.clock.boottime())
            await passes(1)
        assert [(event.alarm, event.raised) for event in heard] == [("flood", True), ("flood", False)]
        assert heard[0].id == heard[1].id
        assert bench.sent(Lane.ALARMS) == [("probe-1/level:alarm", "raise"), ("probe-1/level:alarm", "clear")]

    on_bench(tmp_path, test)


def test_an_alarm_that_is_raised_stays_raised_under_its_id_over_a_restart(tmp_path):
    ids = []

    async def before(bench):
        pipeline = bench.pipeline(device(TALKER, alarms=(FLOOD,)))
        pipeline.on_alarm.append(lambda event: ids.append(event.id))
        pipeline.take(level(3.0), bench.clock.boottime())

    async def after(bench):
        pipeline = bench.pipeline(device(TALKER, alarms=(FLOOD,)))
        pipeline.on_alarm.append(lambda event: ids.append(event.id))
        assert list(pipeline.alarms.values()) == ["flood"]
        pipeline.take(level(3.0), bench.clock.boottime())
        pipeline.take(level(2.0), bench.clock.boottime())
        assert not pipeline.alarms

    on_bench(tmp_path, before)
    on_bench(tmp_path, after)
    assert len(ids) == 2
    assert ids[0] == ids[1]


def test_silence_is_noticed_although_nothing_ever_comes(tmp_path):
    async def test(bench):
        pipeline = bench.pipeline(device(TALKER, silent_after=60.0))
        pipeline.start()
        await passes(59)
        assert not pipeline.alarms
        await passes(2)
        assert list(pipeline.alarms.values()) == ["silent"]
        pipeline.take(level(1.0), bench.clock.boottime())
        assert not pipeline.alarms

    on_bench(tmp_path, test)


def test_a_device_that_is_stopped_lets_no_more_time_pass(tmp_path):
    async def test(bench):
        pipeline = bench.pipeline(device(TALKER, silent_after=60.0))
        pipeline.start()
        pipeline.stop()
        await passes(120)
        assert not pipeline.alarms

    on_bench(tmp_path, test)


def test_what_is_withheld_is_tallied_and_the_tally_outlives_a_crash(tmp_path):
    rules = {"level": Rules(deadband=1.0)}

    async def test(bench):
        pipeline = bench.pipeline(device(TALKER, rules=rules))
        for value in (5.0, 5.1, 5.2, 7.0):
            pipeline.take(level(value), bench.clock.boottime())
            await passes(1)
        assert bench.sent() == [("probe-1/level", 5.0), ("probe-1/level", 7.0)]

    async def after(bench):
        bench.withheld.recall("probe-1", bench.journal.kept("withheld/probe-1"))
        (entry,) = bench.withheld.take(bench.clock.boottime())
        assert (entry.device, entry.quantity, entry.why, entry.count) == ("probe-1", "level", "deadband", 2)

    on_bench(tmp_path, test)
    on_bench(tmp_path, after)


def test_a_memory_that_cannot_be_read_costs_the_memory_not_the_device(tmp_path, caplog):
    async def test(bench):
        bench.journal.keep("refine/probe-1", {"alarms": 17})
        pipeline = bench.pipeline(device(TALKER, alarms=(FLOOD,)))
        pipeline.take(level(1.0), bench.clock.boottime())
        assert bench.sent() == [("probe-1/level", 1.0)]
        assert isinstance(pipeline._refiner, Refiner)

    on_bench(tmp_path, test)
    assert any("memory_unreadable" in record.getMessage() for record in caplog.records)


def test_the_latest_of_each_quantity_is_what_the_driver_said_also_without_value(tmp_path):
    async def test(bench):
        pipeline = bench.pipeline(device(TALKER, rules={"level": Rules(offset=100.0)}))
        pipeline.take(level(1.0), bench.clock.boottime())
        assert pipeline.latest["level"].measurement.value == 1.0
        await passes(3)
        pipeline.take([Measurement("level", None, Reason.NO_ECHO)], bench.clock.boottime())
        assert (pipeline.latest["level"].measurement.reason, pipeline.latest["level"].at) == ("no_echo", 3_000_000_000)
        assert bench.sent() == [("probe-1/level", 101.0), ("probe-1/level:state", "no_echo")]

    on_bench(tmp_path, test)


def test_the_log_says_what_was_wrong_when_it_is_well_again_and_no_more_than_that(tmp_path, caplog):
    caplog.set_level("INFO", "roadside")

    async def test(bench):
        pipeline = bench.pipeline(device(TALKER))
        for _ in range(50):
            pipeline.port_fault(PortError(PortFault.UNPLUGGED, "/dev/ttyUSB0", "it is gone"))
            await passes(1)
        pipeline.take(level(1.0), bench.clock.boottime())
        pipeline.take(level(2.0), bench.clock.boottime())

    on_bench(tmp_path, test)
    told = [(record.event, record.fields) for record in caplog.records if record.fields.get("device") == "probe-1"]
    assert [event for event, _ in told] == ["device_unreadable", "device_readable"]
    assert (told[0][1]["why"], told[1][1]["was"], told[1][1]["seconds"]) == ("unplugged", "unplugged", 50.0)


def test_a_text_that_no_utf8_can_say_is_said_as_far_as_it_goes(tmp_path):
    async def test(bench):
        pipeline = bench.pipeline(device(TALKER))
        pipeline.take([Measurement("level", "wet\ud800"), Measurement("level", 2.9)], bench.clock.boottime())
        assert bench.sent() == [("probe-1/level", "wet?"), ("probe-1/level", 2.9)]

    on_bench(tmp_path, test)
