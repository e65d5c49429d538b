"""What every rig keeps to: each verb does what it says, as seen from the other side and not by the rig's own word.

A kind of rig runs it by a test file that makes the fixture `bed`: the rig, and ways to look at it from outside.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

import pytest

from hil.rigs.base import Capability, Rig, RigError
from hil.rigs.timeline import Lane

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Bed(Protocol):
    """A rig under test, and what can be seen of it without asking it."""

    rig: Rig

    async def process(self) -> object:
        """Return what tells the agent's process from any other."""
        ...

    async def connects(self) -> bool:
        """Return whether the broker answers a client that comes by the gateway's way."""
        ...

    async def free_on_card(self) -> int:
        """Return the bytes that the agent could still write to its card."""
        ...

    async def in_memory(self) -> list[str]:
        """Return the names of what the agent has in the folder that is lost with the power."""
        ...

    async def boot_id(self) -> str:
        """Return the boot id that the agent sees."""
        ...

    async def wall_clock(self) -> float:
        """Return the time of day that the agent sees, in seconds since 1970."""
        ...


def needs(bed: Bed, capability: Capability) -> None:
    """Skip the test if the rig lacks this, with the rig's reason."""
    if reason := bed.rig.lacks(bed.rig.description).get(capability):
        pytest.skip(reason)


async def eventually(bed: Bed, condition: Callable[[], Awaitable[object]]) -> None:
    """Wait for what can only be asked for."""
    async with asyncio.timeout(bed.rig.patience):
        while not await condition():  # noqa: ASYNC110 - the condition is of the world, which sets no event
            await asyncio.sleep(0.05)


class RigContract:
    """The contract. Tests use the agent that the rig's description names, and devices air-1, level-1, panic-1."""

    async def test_it_begins_ready_and_readings_arrive(self, bed):
        assert await bed.process()
        await bed.rig.until(lambda: bed.rig.city.values("air-1"))

    async def test_what_a_device_says_is_read(self, bed):
        await bed.rig.until(lambda: bed.rig.city.values("level-1"))
        await bed.rig.device("level-1").says(bytes.fromhex("ff 07 d0 d6"), water_level=3.0)
        await bed.rig.until(lambda: 3.0 in bed.rig.city.values("level-1"))

    async def test_a_silent_device_is_heard_no_more_until_it_recovers(self, bed):
        await bed.rig.until(lambda: bed.rig.city.values("air-1"))
        await bed.rig.device("air-1").goes_silent()
        await bed.rig.until(lambda: bed.rig.city.state("air-1") == "silent")
        heard = len(bed.rig.city.values("air-1"))
        levels = len(bed.rig.city.values("level-1"))
        await bed.rig.until(lambda: len(bed.rig.city.values("level-1")) > levels + 5)
        assert len(bed.rig.city.values("air-1")) == heard
        await bed.rig.device("air-1").recovers()
        await bed.rig.until(lambda: len(bed.rig.city.values("air-1")) > heard)

    async def test_a_plug_is_out_and_in(self, bed):
        await bed.rig.until(lambda: bed.rig.city.state("air-1") == "ok")
        await bed.rig.device("air-1").unplug()
        await bed.rig.until(lambda: bed.rig.city.state("air-1") in {"unplugged", "missing"})
        await bed.rig.device("air-1").replug()
        await bed.rig.until(lambda: bed.rig.city.state("air-1") == "ok")

    async def test_a_press_is_felt_and_an_output_is_read(self, bed):
        await bed.rig.pin("panic-1").hold()
        await bed.rig.until(lambda: bed.rig.city.alarms("panic-1"))
        await eventually(bed, bed.rig.pin("siren-1").reads)
        await bed.rig.pin("panic-1").release()

    async def test_the_link_does_what_it_is_told(self, bed):
        link = bed.rig.link
        assert await bed.connects()
        for verb in (link.cut, link.refuse, link.hang):
            await verb()
            assert not await bed.connects(), verb
            await link.restore()
            assert await bed.connects(), verb

    async def test_a_slow_link_is_slow_and_is_fast_again(self, bed):
        loop = asyncio.get_running_loop()
        await bed.rig.link.slow(1e6, delay=0.3)
        began = loop.time()
        assert await bed.connects()
        assert loop.time() - began > 0.5  # there and back
        await bed.rig.link.restore()
        assert await bed.connects()

    async def test_a_killed_agent_is_another_process(self, bed):
        before = await bed.process()
        await bed.rig.agent.kill()
        assert await bed.process() != before

    async def test_a_hung_agent_is_another_process(self, bed):
        before = await bed.process()
        await bed.rig.agent.hang()
        assert await bed.process() != before

    async def test_a_restart_takes_settings(self, bed):
        await bed.rig.agent.restart({"devices.air-1.silent_after": "7 s"})
        await bed.rig.until(lambda: "'silent_after': 7.0" in str(bed.rig.city.told.get("about")))

    async def test_a_power_cut_takes_the_process_the_memory_and_the_boot(self, bed):
        before, boot = await bed.process(), await bed.boot_id()
        await eventually(bed, bed.in_memory)
        await bed.rig.power.cut()
        assert not await bed.in_memory()
        await bed.rig.power.restore()
        assert await bed.process() != before
        assert await bed.boot_id() != boot
        assert len(bed.rig.power.cuts) == 1

    async def test_the_card_is_full_and_empty_again(self, bed):
        needs(bed, Capability.DISK)
        assert await bed.free_on_card() > 0
        await bed.rig.disk.fill()
        assert await bed.free_on_card() == 0
        await bed.rig.disk.empty()
        assert await bed.free_on_card() > 0

    async def test_time_servers_come_and_go(self, bed):
        needs(bed, Capability.CLOCK)
        await bed.rig.until(lambda: bed.rig.city.health().get("clock", {}).get("synchronised"))
        await bed.rig.clock.unsync()
        await bed.rig.agent.restart()
        await bed.rig.until(lambda: bed.rig.city.health()["clock"]["synchronised"] is False)
        await bed.rig.clock.sync()
        await bed.rig.until(lambda: bed.rig.city.health()["clock"]["synchronised"])

    async def test_the_wall_clock_is_set_and_right_again(self, bed):
        needs(bed, Capability.CLOCK_STEP)
        assert abs(await bed.wall_clock() - time.time()) < 5
        await bed.rig.clock.step(7200)
        assert abs(await bed.wall_clock() - time.time() - 7200) < 5
        await bed.rig.clock.sync()
        assert abs(await bed.wall_clock() - time.time()) < 5

    async def test_the_account_is_of_all_that_was_said(self, bed):
        needs(bed, Capability.ACCOUNT)
        await bed.rig.until(lambda: len(bed.rig.city.values("air-1")) > 20)
        await bed.rig.quiet()
        await bed.rig.until(lambda: bed.rig.account().clean)
        assert bed.rig.account().emitted >= len(bed.rig.city.values("air-1"))

    async def test_what_the_rig_does_is_on_the_timeline(self, bed):
        await bed.rig.device("air-1").garble("checksum")
        (event,) = [one for one in bed.rig.timeline.events if one.text == "air-1.garble('checksum')"]
        assert event.lane is Lane.RIG
        assert event.stop >= event.start
        await bed.rig.until(lambda: {one.lane for one in bed.rig.timeline.events} == set(Lane))

    async def test_what_is_not_there_cannot_be_handled(self, bed):
        with pytest.raises(RigError, match="air-9"):
            bed.rig.device("air-9")
        with pytest.raises(RigError, match="no ailment"):
            await bed.rig.device("air-1").garble("cold")
        with pytest.raises(RigError, match="no 'mood'"):
            await bed.rig.device("air-1").becomes(mood="bad")
