from agent.readings import Stream
from drivers.contract import Reason
from tests.refine.bench import SECOND, Bench, device

SILENT = Reason.SILENT


def test_a_device_that_never_spoke_is_reported_after_silent_after():
    bench = Bench(device(), at=100)
    assert bench.due() == 160
    assert bench.tick(159) == []
    assert bench.tick(160) == ["+silent", SILENT]
    assert bench.due() is None
    assert bench.tick(1000) == []


def test_a_device_that_falls_silent_is_reported_once_and_cleared_under_the_same_id_when_heard_again():
    bench = Bench(device("pm1", "pm10"))
    bench.take(50, 3, "pm1")
    assert bench.due() == 110
    assert bench.tick(110) == ["+silent", SILENT, SILENT]
    assert [(record.quantity, record.value) for record in bench.readings[1:]] == [("pm1", None), ("pm10", None)]
    assert [stream for stream, _ in bench.records] == [Stream.TELEMETRY, Stream.ALARM, *[Stream.TELEMETRY] * 2]
    assert bench.take(500, 4, "pm1") == ["-silent", 4]
    raised, cleared = bench.events
    assert raised.id == cleared.id
    assert (raised.at, cleared.at) == (110 * SECOND, 500 * SECOND)


def test_a_late_tick_does_not_hide_a_silence():
    bench = Bench(device())
    bench.take(0, 1)
    assert bench.take(61, 2) == ["+silent", SILENT, "-silent", 2]


def test_a_legal_reason_is_a_sign_of_life_but_no_reply_is_not():
    bench = Bench(device())
    bench.take(50, Reason.NO_ECHO)
    assert bench.take(100, Reason.NO_REPLY) == [Reason.NO_REPLY]
    assert bench.tick(110) == ["+silent", SILENT]
    assert bench.take(111, Reason.NO_REPLY) == [Reason.NO_REPLY]
    assert bench.take(112, Reason.NO_ECHO) == ["-silent", Reason.NO_ECHO]


def test_readings_of_a_quantity_that_is_an_alarm_stay_in_the_alarm_stream_also_when_silent():
    bench = Bench(device("pressed", states=("pressed",), event=True))
    bench.tick(60)
    assert {stream for stream, _ in bench.records} == {Stream.ALARM}


def test_values_during_warm_up_are_withheld_until_it_is_over():
    bench = Bench(device(warm_up=10))
    assert bench.take(5, 1) == []
    assert bench.take(14.9, 2, age=1) == []
    assert bench.take(15, 3) == [3]
    assert bench.withheld == [("level", "warming_up", 5), ("level", "warming_up", 13.9)]


def test_a_device_that_was_silent_warms_up_again():
    bench = Bench(device(warm_up=10))
    bench.take(0, 1)
    assert bench.take(59, 2) == [2]
    assert bench.tick(119) == ["+silent", SILENT]
    assert bench.take(119, 3) == ["-silent"]
    assert bench.take(128, 4) == []
    assert bench.take(129, 5) == [5]


def test_a_restart_of_the_agent_alone_does_not_start_a_warm_up_again():
    bench = Bench(device(warm_up=10))
    bench.take(0, 1)
    bench.take(10, 2)
    bench.restart(30)
    assert bench.take(69, 3) == [3]


def test_a_restart_in_the_middle_of_a_warm_up_does_not_end_it():
    bench = Bench(device(warm_up=10))
    bench.take(0, 1)
    bench.restart(3)
    assert bench.take(9, 2) == []
    assert bench.take(10, 3) == [3]


def test_after_a_restart_that_took_long_the_device_warms_up():
    bench = Bench(device(warm_up=10))
    bench.take(0, 1)
    bench.take(50, 1)
    bench.restart(100)
    assert bench.take(111, 3) == []


def test_after_a_boot_the_device_warms_up():
    bench = Bench(device(warm_up=10))
    bench.take(0, 1)
    bench.take(30, 2)
    bench.restart(5, boot="b2")
    assert bench.take(31, 3) == []
    assert bench.take(41, 4) == [4]


def test_after_a_restart_a_device_has_its_whole_time_to_speak():
    bench = Bench(device())
    bench.take(0, 1)
    bench.restart(1000)
    assert bench.tick(1059) == []
    assert bench.tick(1060) == ["+silent", SILENT]


def test_an_agent_that_restarts_again_and_again_still_reports_a_silent_device():
    bench = Bench(device())
    bench.take(0, 1)
    said = []
    for at in range(20, 200, 20):
        bench.restart(at)
        said += bench.tick(at) + bench.tick(at + 10)
    assert said == ["+silent", SILENT]


def test_a_silence_is_not_reported_again_after_a_restart_and_ends_under_its_old_id():
    bench = Bench(device())
    bench.tick(60)
    bench.restart(70)
    assert bench.due() is None
    assert bench.tick(500) == []
    bench.restart(5, boot="b2")
    assert bench.tick(80) == []
    assert bench.take(90, 1) == ["-silent", 1]
    raised, cleared = bench.events
    assert raised.id == cleared.id


def test_memory_is_worth_keeping_now_and_then_not_at_each_measurement():
    bench = Bench(device())
    assert bench.refiner.dirty
    kept = 0
    for at in range(600):
        bench.take(at / 10, at)
        if bench.refiner.dirty:
            bench.refiner.memory()
            kept += 1
    assert kept == 10
    bench.tick(200)
    assert bench.refiner.dirty
