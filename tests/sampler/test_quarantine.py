"""A device that held up the whole agent is set aside, longer each time; every step of a sampler leaves its crumb."""

import asyncio

import pytest

from agent.config.model import Port
from agent.sampler.quarantine import FIRST, FORGIVEN_AFTER, LONGEST, Quarantine, guarded
from drivers.devices.line import DRIVER as LINE
from drivers.devices.line import Settings as Line
from tests.sampler.bench import device, on_bench, passes
from tests.sampler.test_listen import TALKER

S = 1_000_000_000


class Crumbs:
    def __init__(self):
        self.left = b"nothing yet"

    def put(self, device):
        self.left = device


def quarantine_of(*devices):
    return Quarantine({one.id: one for one in devices or (device(TALKER, "air-1"),)})


def test_each_time_takes_twice_as_long_but_never_more_than_a_day():
    quarantine = quarantine_of()
    waits = []
    for _ in range(10):
        quarantine.add("air-1", 5 * S)
        waits.append(quarantine.until("air-1") / S - 5)
    assert waits[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert waits[-1] == LONGEST
    assert quarantine.until("other") == 0


def test_it_is_kept_across_restarts_and_forgiven_after_a_week():
    quarantine = quarantine_of()
    quarantine.add("air-1", 0)
    later = quarantine_of()
    later.recall(quarantine.memory(), 1 * S)
    assert later.until("air-1") == quarantine.until("air-1")
    forgiven = quarantine_of()
    forgiven.recall(quarantine.memory(), round((FIRST + FORGIVEN_AFTER + 1) * S))
    assert forgiven.until("air-1") == 0


def test_other_settings_of_the_device_end_it_and_the_same_ones_read_anew_do_not():
    pattern = {"port": Port(path="/dev/ttyUSB0"), "settings": Line(pattern="(?P<pm1>[0-9]+)x")}
    quarantine = quarantine_of(device(LINE, "air-1", **pattern))
    quarantine.add("air-1", 0)
    same = quarantine_of(device(LINE, "air-1", **pattern))
    same.recall(quarantine.memory(), 1 * S)
    assert same.until("air-1") == FIRST * S
    mended = quarantine_of(device(LINE, "air-1", **pattern | {"settings": Line(pattern="(?P<pm1>[0-9])x")}))
    mended.recall(quarantine.memory(), 1 * S)
    assert mended.until("air-1") == 0


@pytest.mark.parametrize("kept", [None, 7, [], {"air-1": 3}, {"air-1": ["x", "y", 1]}, {"air-1": [1, 2]}])
def test_what_an_earlier_run_kept_may_be_anything(kept):
    quarantine = quarantine_of()
    quarantine.recall(kept, 0)
    assert quarantine.memory() == {}


def test_work_begins_when_the_time_is_over_and_the_device_says_why_it_is_not_read(tmp_path):
    async def test(bench):
        pipeline = bench.pipeline(device(TALKER, "air-1"))
        quarantine = Quarantine({pipeline.device.id: pipeline.device})
        quarantine.add("air-1", bench.clock.boottime())
        begun = asyncio.Event()

        async def work():
            begun.set()
            await asyncio.Event().wait()

        async with bench.running(guarded(work, pipeline, quarantine, bench.clock, Crumbs())()):
            await passes(FIRST - 1)
            assert not begun.is_set()
            assert pipeline.trouble == "quarantined"
            await passes(2)
            assert begun.is_set()

    on_bench(tmp_path, test)


def test_a_crumb_lies_while_the_work_holds_the_loop_and_not_while_it_waits(tmp_path):
    async def test(bench):
        pipeline = bench.pipeline(device(TALKER, "air-1"))
        crumbs, seen, come = Crumbs(), [], asyncio.Event()

        async def work():
            seen.append(crumbs.left)
            await come.wait()
            seen.append(crumbs.left)
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                seen.append(crumbs.left)
                raise

        task = asyncio.create_task(guarded(work, pipeline, Quarantine({}), bench.clock, crumbs)())
        await passes(1)
        assert crumbs.left == b""
        come.set()
        await passes(1)
        assert crumbs.left == b""
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == [b"air-1"] * 3
        assert crumbs.left == b""

    on_bench(tmp_path, test)


def test_what_the_work_raises_comes_out_as_it_is(tmp_path):
    async def test(bench):
        pipeline = bench.pipeline(device(TALKER, "air-1"))

        async def work():
            await asyncio.sleep(0)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await guarded(work, pipeline, Quarantine({}), bench.clock, Crumbs())()

    on_bench(tmp_path, test)
