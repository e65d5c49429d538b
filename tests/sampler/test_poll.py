"""Devices that share a bus: one transaction at a time, and none waits for ever for another."""

import asyncio
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from agent.sampler.poll import GAP, LONGEST_REST, MISSED_BY_CHANCE, SHORTEST_GAP, Bus, poll, rest
from agent.sampler.supervise import supervise
from drivers.contract import SerialLine
from drivers.ports.scripted import Expect, Fail, Give, ScriptedSerialPort, ScriptedSerialPorts
from drivers.seams import PortError, PortFault
from tests.sampler.bench import ASKED, Settings, device, on_bench, passes

LINE = SerialLine(9600)
PATH = "/dev/rs485"


class Far:
    """The far end of a bus, which answers each request after a while; implements `drivers.seams.SerialPort`."""

    def __init__(self, bench, delays):
        self._bench = bench
        self._delays = delays  # by name: seconds until it answers, or None
        self.line = LINE
        self._arriving = asyncio.Queue()
        self._timers = []
        self.log = []  # (seconds, what happened)

    async def open(self, path, line):
        assert (path, line) == (PATH, self.line)
        self.log.append((self._bench.clock.seconds(), "open"))
        return self

    async def read(self):
        data = await self._arriving.get()
        self.log.append((self._bench.clock.seconds(), data))
        return data

    def write(self, data):
        self.log.append((self._bench.clock.seconds(), data))
        name = data.removesuffix(b"?").decode()
        if (delay := self._delays.get(name)) is not None:
            answer = name.encode() + b"=7"
            self._timers.append(asyncio.get_running_loop().call_later(delay, self._arriving.put_nowait, answer))

    def flush(self):
        while not self._arriving.empty():
            self.log.append((self._bench.clock.seconds(), b"flushed " + self._arriving.get_nowait()))

    def close(self):
        self.log.append((self._bench.clock.seconds(), "close"))


def asked(bench, bus, name, every=10.0):
    pipeline = bench.pipeline(device(ASKED, f"{name}-1", Settings(name=name)))
    return pipeline, supervise(
        partial(poll, pipeline, ASKED, bus, every, bench.clock), pipeline, bench.clock, bench.chance
    )


def test_requests_and_answers_never_mix_and_keep_the_gap_between_them(tmp_path):
    async def test(bench):
        far = Far(bench, {"a": 0.3, "b": 0.3, "c": 0.3})
        bus = Bus(far, PATH, LINE, bench.clock)
        work = [asked(bench, bus, name, every=1.0)[1] for name in "abc"]
        async with bench.running(*work):
            await passes(10.5)
        talk = [entry for entry in far.log if entry[1] != "open"]
        for (asked_at, request), (answered_at, answer) in zip(talk[::2], talk[1::2], strict=False):
            assert (request[:1] + b"=7", request[1:]) == (answer, b"?")
            assert answered_at - asked_at >= 0.3 - 1e-6
        for (answered_at, _), (asked_at, _) in zip(talk[1::2], talk[2::2], strict=False):
            assert asked_at - answered_at >= max(SHORTEST_GAP, GAP * 10 / LINE.baud) - 1e-6
        assert set(bench.sent()) == {(f"{name}-1/level", 7) for name in "abc"}

    on_bench(tmp_path, test)


def test_a_dead_device_costs_its_own_time_alone(tmp_path):
    async def test(bench):
        far = Far(bench, {"a": None, "b": 0.1})
        bus = Bus(far, PATH, LINE, bench.clock)
        (dead, dead_work), (well, well_work) = (asked(bench, bus, name) for name in "ab")
        async with bench.running(dead_work, well_work):
            await passes(100.5)
        assert bench.sent() == [("b-1/level", 7)] * 11
        assert (dead.latest, dead.trouble, well.trouble) == ({}, None, None)
        assert [what for _, what in far.log].count("open") == 1

    on_bench(tmp_path, test)


def test_a_dead_device_hardly_slows_the_others(tmp_path):
    """One of four is dead on a bus that has no time to lose: each of the others takes a quarter of it."""
    asked_in = {}

    def live_with(dead):
        async def test(bench):
            far = Far(bench, {"a": None if dead else 0.2, "b": 0.2, "c": 0.2, "d": 0.2})
            bus = Bus(far, PATH, LINE, bench.clock)
            work = [asked(bench, bus, name, every=1.0)[1] for name in "abcd"]
            async with bench.running(*work):
                await passes(600.5)
            asked_in[dead] = {name: sum(what == f"{name}?".encode() for _, what in far.log) for name in "abcd"}

        on_bench(tmp_path / str(dead), test)

    live_with(dead=False)
    live_with(dead=True)
    assert asked_in[True]["a"] < 20
    for name in "bcd":
        assert asked_in[True][name] > 0.98 * asked_in[False][name]


def test_a_device_that_is_back_has_its_pace_at_once(tmp_path):
    async def test(bench):
        far = Far(bench, {"a": None})
        bus = Bus(far, PATH, LINE, bench.clock)
        _, work = asked(bench, bus, "a", every=1.0)
        async with bench.running(work):
            await passes(300)
            far._delays["a"] = 0.1
            await passes(LONGEST_REST + 2)
            far.log.clear()
            await passes(10)
            assert sum(what == b"a?" for _, what in far.log) == 10

    on_bench(tmp_path, test)


@pytest.mark.parametrize("every", [0.5, 10.0, 600.0])
def test_the_rest_grows_and_ends(every):
    rests = [rest(every, missed) for missed in range(1000)]
    assert rests[: MISSED_BY_CHANCE + 1] == [every] * (MISSED_BY_CHANCE + 1)
    assert rests == sorted(rests)
    assert rests[-1] == max(every, LONGEST_REST)


def test_on_a_line_that_is_slower_than_the_devices_own_more_time_is_given(tmp_path):
    async def test(bench):
        far = Far(bench, {"a": 3.0})
        bus = Bus(far, PATH, LINE, bench.clock)
        pipeline = bench.pipeline(device(ASKED, "a-1", Settings(name="a")))
        faster = replace(ASKED, line=SerialLine(4 * LINE.baud))
        async with bench.running(poll(pipeline, faster, bus, 10.0, bench.clock)):
            await passes(3.5)
            assert pipeline.latest["level"].measurement.value == 7

    on_bench(tmp_path, test)


@pytest.mark.parametrize("line", [SerialLine(1200), SerialLine(1200, parity="E"), SerialLine(1200, stop=2)])
def test_a_character_is_as_long_as_its_bits(tmp_path, line):
    async def test(bench):
        far = Far(bench, {"a": 0.3, "b": 0.3})
        far.line = line
        bus = Bus(far, PATH, line, bench.clock)
        async with bench.running(*(asked(bench, bus, name)[1] for name in "ab")):
            await passes(1)
        (_, _), (answered_at, _), (asked_at, _) = [entry for entry in far.log if entry[1] != "open"][:3]
        bits = 10 if line == SerialLine(1200) else 11
        assert asked_at - answered_at == pytest.approx(GAP * bits / 1200, abs=1e-6)

    on_bench(tmp_path, test)


def test_an_answer_that_comes_too_late_is_nobodys(tmp_path):
    async def test(bench):
        far = Far(bench, {"a": 1.5})
        pipeline, work = asked(bench, Bus(far, PATH, LINE, bench.clock), "a")
        async with bench.running(work):
            await passes(10.5)
        assert (10.0, b"flushed a=7") in far.log
        assert pipeline.latest == {}

    on_bench(tmp_path, test)


def test_a_bus_that_babbles_without_end_is_given_up_for_this_request(tmp_path):
    async def test(bench):
        far = Far(bench, {})
        bus = Bus(far, PATH, LINE, bench.clock)
        pipeline, work = asked(bench, bus, "a")
        async with bench.running(work):
            for _ in range(2000):
                far._arriving.put_nowait(b"~" * 64)
                await passes(0.001)
            assert pipeline.latest == {}
            far._delays["a"] = 0.1
            await passes(15)
            assert pipeline.latest["level"].measurement.value == 7

    on_bench(tmp_path, test)


def test_the_pace_is_kept_whatever_the_answers_take(tmp_path):
    async def test(bench):
        far = Far(bench, {"a": 0.7})
        _, work = asked(bench, Bus(far, PATH, LINE, bench.clock), "a", every=2.0)
        async with bench.running(work):
            await passes(20.5)
        asked_at = [at for at, what in far.log if what == b"a?"]
        assert [after - before for before, after in pairwise(asked_at)] == pytest.approx([2.0] * 10, abs=0.005)

    on_bench(tmp_path, test)


def test_a_lost_bus_is_every_devices_trouble_and_is_opened_again_once(tmp_path):
    lost = ScriptedSerialPort(Expect(b"a?"), Fail(PortFault.UNPLUGGED))
    back = ScriptedSerialPort(Expect(b"a?"), Give(b"a=3"), Expect(b"b?"), Give(b"b=4"))
    ports = ScriptedSerialPorts({PATH: [lost, PortError(PortFault.MISSING, PATH, "gone"), back]})

    async def test(bench):
        bus = Bus(ports, PATH, LINE, bench.clock)
        (one, one_work), (other, other_work) = (asked(bench, bus, name) for name in "ab")
        async with bench.running(one_work, other_work):
            await passes(0.5)
            assert (one.trouble, other.trouble) == ("unplugged", "missing")
            await passes(3)
            assert (one.trouble, other.trouble) == (None, None)
        assert bench.sent() == [("a-1/level", 3), ("b-1/level", 4)]

    on_bench(tmp_path, test)
    ports.done()


def test_a_driver_that_fails_in_the_middle_of_a_conversation_gives_the_bus_to_the_others(tmp_path):
    port = ScriptedSerialPort(Expect(b"a?"), Give(b"a=!"), Expect(b"b?"), Give(b"b=4"))
    ports = ScriptedSerialPorts({PATH: [port]})

    async def test(bench):
        bus = Bus(ports, PATH, LINE, bench.clock)
        (one, one_work), (other, other_work) = (asked(bench, bus, name) for name in "ab")
        async with bench.running(one_work, other_work):
            await passes(0.5)
            assert (one.trouble, other.trouble) == ("quarantined", None)
            assert bench.sent() == [("b-1/level", 4)]

    on_bench(tmp_path, test)
