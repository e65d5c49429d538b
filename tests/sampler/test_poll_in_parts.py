"""A poll of several requests: what was read before it went wrong is kept, with the time at which it was read."""

import asyncio
from dataclasses import replace

import pytest

from agent.sampler.poll import Bus, poll
from drivers.contract import Answer, Ask, Measurement, SerialLine
from drivers.ports.scripted import Expect, Fail, Give, ScriptedSerialPort, ScriptedSerialPorts
from drivers.seams import PortError
from tests.sampler.bench import ASKED, device, on_bench, passes

PATH = "/dev/rs485"


class TwoParts:
    """Asks `a?` and then `b?`, and answers each with a digit."""

    def __init__(self, settings):
        del settings

    def poll(self):
        items = []
        for request in (b"a?", b"b?"):
            answer = yield Ask(request, lambda heard: Answer(heard) if heard else None, 1.0)
            if answer is None:
                break
            items.append(Measurement("level", int(answer.payload)))
        return items


def polled(bench, *steps):
    driver = replace(ASKED, make=TwoParts)
    bus = Bus(ScriptedSerialPorts({PATH: [ScriptedSerialPort(*steps)]}), PATH, SerialLine(), bench.clock)
    pipeline = bench.pipeline(device(driver))
    return pipeline, poll(pipeline, driver, bus, 10.0, bench.clock)


def test_what_was_read_before_a_time_out_is_not_dated_after_it(tmp_path):
    async def test(bench):
        pipeline, work = polled(bench, Expect(b"a?"), Give(b"3"), Expect(b"b?"))
        began = bench.clock.seconds()
        async with bench.running(work):
            await passes(2)
        assert bench.sent() == [("probe-1/level", 3)]
        assert pipeline.latest["level"].at / 1e9 - began < 0.1

    on_bench(tmp_path, test)


def test_what_was_read_before_the_line_is_lost_is_kept(tmp_path):
    async def test(bench):
        _, work = polled(bench, Expect(b"a?"), Give(b"3"), Expect(b"b?"), Fail())
        with pytest.raises(PortError):
            await work
        assert bench.sent() == [("probe-1/level", 3)]

    on_bench(tmp_path, test)


def test_what_was_read_before_the_agent_stops_is_kept(tmp_path):
    async def test(bench):
        _, work = polled(bench, Expect(b"a?"), Give(b"3"), Expect(b"b?"))
        task = asyncio.create_task(work)
        await passes(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bench.sent() == [("probe-1/level", 3)]

    on_bench(tmp_path, test)
