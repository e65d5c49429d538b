"""A device that speaks unasked: its port comes and goes, its driver may fail, the others never notice."""

import asyncio
from dataclasses import replace
from functools import partial

from agent.sampler.listen import listen
from agent.sampler.supervise import supervise
from drivers.contract import Fault, FaultKind, Prompt, SerialLine
from drivers.devices import ld2451
from drivers.ports.scripted import Expect, Fail, Give, ScriptedSerialPort, ScriptedSerialPorts
from drivers.seams import PortError, PortFault
from tests.sampler.bench import COUNTER, TALKER, device, on_bench, passes

LINE = SerialLine(9600)
PATH = "/dev/ttyAMA0"


def supervised(bench, pipeline, ports, path=PATH):
    work = partial(listen, pipeline, pipeline.device.driver, path, LINE, ports, bench.clock)
    return supervise(work, pipeline, bench.clock, bench.chance)


def missing(path=PATH):
    return PortError(PortFault.MISSING, path, "nothing is plugged in here")


def test_what_the_device_says_goes_into_the_journal_as_it_comes(tmp_path):
    ports = ScriptedSerialPorts({PATH: [ScriptedSerialPort(Give(b"\x01\x02"), Give(b"\x04"))]})

    async def test(bench):
        pipeline = bench.pipeline(device(TALKER))
        async with bench.running(supervised(bench, pipeline, ports)):
            await passes(1)
        assert bench.sent() == [("probe-1/level", value) for value in (100, 50, 25)]
        assert pipeline.latest["level"].measurement.value == 25

    on_bench(tmp_path, test)
    ports.done()


def test_a_lost_port_is_opened_again_after_ever_longer_waits_and_each_is_told_by_its_name(tmp_path):
    attempts = [ScriptedSerialPort(Give(b"\x01"), Fail(PortFault.UNPLUGGED)), missing(), missing()]
    ports = ScriptedSerialPorts({PATH: [*attempts, ScriptedSerialPort(Give(b"\x02"))]})

    async def test(bench):
        pipeline = bench.pipeline(device(TALKER))
        async with bench.running(supervised(bench, pipeline, ports)):
            await passes(0.5)
            assert pipeline.trouble == "unplugged"
            await passes(1)  # 1 s after the first failure
            assert (pipeline.trouble, "nothing is plugged in here" in pipeline.trouble_text) == ("missing", True)
            await passes(5)  # 2 s after the second, 4 s after the third
            assert pipeline.trouble == "missing"
            await passes(1)
            assert pipeline.trouble is None
        assert bench.sent() == [("probe-1/level", 100), ("probe-1/level", 50)]

    on_bench(tmp_path, test)
    ports.done()


def test_a_driver_that_fails_is_quarantined_alone_and_started_anew(tmp_path):
    ports = ScriptedSerialPorts({
        PATH: [ScriptedSerialPort(Give(b"\x00")), ScriptedSerialPort(Give(b"\x05"))],
        "/dev/other": [ScriptedSerialPort(Give(b"\x0a"))],
    })  # fmt: skip

    async def test(bench):
        broken = bench.pipeline(device(TALKER, "broken-1"))
        well = bench.pipeline(device(TALKER, "well-1"))
        async with bench.running(supervised(bench, broken, ports), supervised(bench, well, ports, "/dev/other")):
            await passes(0.5)
            assert (broken.trouble, well.trouble) == ("quarantined", None)
            assert broken.faults == {"driver_failed": 1}
            assert bench.sent() == [("well-1/level", 10)]
            await passes(1)
            assert broken.trouble is None
            assert bench.sent() == [("broken-1/level", 20)]

    on_bench(tmp_path, test)
    ports.done()


def test_a_port_that_stays_away_is_told_of_a_few_times_an_hour_not_at_every_attempt(tmp_path, caplog):
    ports = ScriptedSerialPorts({PATH: []})

    async def test(bench):
        pipeline = bench.pipeline(device(TALKER))
        async with bench.running(supervised(bench, pipeline, ports)):
            await passes(3600)

    on_bench(tmp_path, test)
    told = [record for record in caplog.records if record.msg == "%s" and "device_unreadable" in record.getMessage()]
    assert 1 < len(told) <= 10


def test_a_device_that_floods_is_a_fault_and_the_others_get_their_turn(tmp_path):
    flood = bytes([10]) * 5000  # 5 s of the line at once
    ports = ScriptedSerialPorts({
        PATH: [ScriptedSerialPort(*[Give(flood)] * 3)],
        "/dev/other": [ScriptedSerialPort(Give(b"\x0a"))],
    })  # fmt: skip

    async def test(bench):
        flooding = bench.pipeline(device(TALKER, "broken-1"))
        well = bench.pipeline(device(TALKER, "well-1"))
        async with bench.running(supervised(bench, flooding, ports), supervised(bench, well, ports, "/dev/other")):
            await passes(0.9)
            assert flooding.faults == {FaultKind.OVERRUN.value: 1}
            assert well.latest["level"].measurement.value == 10

    on_bench(tmp_path, test)


def prompted(*prompt):
    return device(replace(TALKER, prompt=lambda _: Prompt(*prompt)))


def test_a_command_at_the_start_is_sent_once_each_time_the_port_is_opened(tmp_path):
    first = ScriptedSerialPort(Expect(b"wake"), Give(b"\x01"), Fail(PortFault.UNPLUGGED))
    ports = ScriptedSerialPorts({PATH: [first, ScriptedSerialPort(Expect(b"wake"), Give(b"\x02"))]})

    async def test(bench):
        async with bench.running(supervised(bench, bench.pipeline(prompted(b"wake")), ports)):
            await passes(60)
        assert [value for _, value in bench.sent()] == [100, 50]

    on_bench(tmp_path, test)
    ports.done()


def test_a_trigger_is_sent_again_and_again_whether_the_device_answers_or_not(tmp_path):
    port = ScriptedSerialPort(Expect(b"U"), Give(b"\x01"), Expect(b"U"), Expect(b"U"), Give(b"\x02"))
    ports = ScriptedSerialPorts({PATH: [port]})

    async def test(bench):
        async with bench.running(supervised(bench, bench.pipeline(prompted(b"U", 2.0)), ports)):
            await passes(5)
        assert [value for _, value in bench.sent()] == [100, 50]

    on_bench(tmp_path, test)
    ports.done()


def test_a_stop_loses_nothing_of_what_was_read(tmp_path):
    ports = ScriptedSerialPorts({PATH: [ScriptedSerialPort(Give(bytes([10]) * 2500))]})

    async def test(bench):
        pipeline = bench.pipeline(device(TALKER))
        async with bench.running(supervised(bench, pipeline, ports)):
            for _ in range(20):  # turns of the loop: in the middle of it
                if "level" not in pipeline.latest:
                    await asyncio.sleep(0)
        assert len(bench.sent()) == 2500

    on_bench(tmp_path, test)


def test_faults_in_the_bytes_are_counted_by_kind_and_are_no_readings(tmp_path, caplog):
    async def test(bench):
        pipeline = bench.pipeline(device(TALKER))
        for _ in range(1000):
            pipeline.take([Fault(FaultKind.CHECKSUM, 0, "bad")], bench.clock.boottime())
            await passes(0.1)
        assert pipeline.faults == {"checksum": 1000}
        assert bench.sent() == []

    on_bench(tmp_path, test)
    assert len([record for record in caplog.records if "bad_data" in record.getMessage()]) == 2


def test_a_decoder_that_knows_the_time_is_told_when_it_has_passed_although_nothing_came(tmp_path):
    ports = ScriptedSerialPorts({PATH: [ScriptedSerialPort(Give(b"ab"), Give(b"c"))]})

    async def test(bench):
        pipeline = bench.pipeline(device(COUNTER))
        async with bench.running(supervised(bench, pipeline, ports)):
            await passes(1.9)
            assert bench.sent() == []
            await passes(0.2)
            assert bench.sent() == [("probe-1/pulses", 3)]
            assert pipeline.latest["pulses"].at == 2_000_000_000
            await passes(100)
            assert bench.sent() == []

    on_bench(tmp_path, test)


def test_what_such_a_decoder_remembers_survives_the_loss_of_the_port_and_a_restart(tmp_path):
    attempts = [ScriptedSerialPort(Give(b"ab"), Fail(PortFault.UNPLUGGED)), ScriptedSerialPort(Give(b"c"))]
    ports = ScriptedSerialPorts({PATH: attempts})

    async def test(bench):
        pipeline = bench.pipeline(device(COUNTER))
        async with bench.running(supervised(bench, pipeline, ports)):
            await passes(10)
        assert bench.sent() == [("probe-1/pulses", 3)]
        assert bench.pipeline(device(COUNTER)).recall() == {"total": 3}

    on_bench(tmp_path, test)
    ports.done()


def test_a_vehicle_before_a_radar_goes_up_once_and_is_counted_over_a_restart(tmp_path):
    echo = bytes.fromhex("F4 F3 F2 F1 07 00 01 01 6F 04 01 10 FF F8 F7 F6 F5")

    def ports():
        return ScriptedSerialPorts({PATH: [ScriptedSerialPort(Give(echo), Give(echo[:9]), Give(echo[9:]), Give(echo))]})

    async def test(bench):
        for count in (1, 2):
            pipeline = bench.pipeline(device(ld2451.DRIVER))
            async with bench.running(supervised(bench, pipeline, ports())):
                await passes(100)
            sent = bench.sent()
            assert [value for name, value in sent if name == "probe-1/vehicle_speed"] == [4.444]
            assert [value for name, value in sent if name == "probe-1/vehicles_toward"][-1] == count
            assert sent[-1] == ("probe-1/vehicles_away", 0)
            pipeline.stop()

    on_bench(tmp_path, test)
