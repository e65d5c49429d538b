"""The simulated rig keeps to the contract of rigs."""

import asyncio
import os
from pathlib import Path

import aiomqtt
import pytest

from hil.rigs.base import Capability
from hil.rigs.description import read
from hil.rigs.sim import SimRig
from hil.rigs.timeline import Timeline
from tests.hil.rig_contract import RigContract, needs

RIG = Path(__file__).parents[1] / "scenarios/rigs/sim.toml"


class SimBed:
    """Looks at the processes and files of this machine."""

    def __init__(self, rig):
        self.rig = rig

    async def process(self):
        return self.rig.manager.process.pid

    async def connects(self):
        try:
            async with asyncio.timeout(3), aiomqtt.Client("127.0.0.1", self.rig.proxy.port, timeout=2):
                return True
        except (aiomqtt.MqttError, TimeoutError):
            return False

    async def free_on_card(self):
        at = os.statvfs(self.rig.machine.seen(self.rig.root / "var/lib/roadside"))
        return at.f_bavail * at.f_bsize

    async def in_memory(self):
        return os.listdir(self.rig.machine.seen(self.rig.root / "run/roadside"))

    async def boot_id(self):
        return self.rig.machine.seen(Path("/proc/sys/kernel/random/boot_id")).read_text()

    async def wall_clock(self):
        environment = {**os.environ, **self.rig.machine.environment}
        asked = await asyncio.create_subprocess_exec("date", "+%s", env=environment, stdout=asyncio.subprocess.PIPE)
        said, _ = await asked.communicate()
        return float(said)


@pytest.fixture
async def bed():
    async with SimRig(read(RIG), Timeline(), patience=20.0) as rig:
        yield SimBed(rig)


@pytest.mark.system
class TestSimRig(RigContract):
    """All of it."""

    async def test_a_power_cut_takes_the_process_the_memory_and_the_boot(self, bed):
        needs(bed, Capability.CLOCK_STEP)  # without clocks of its own the gateway's boot goes on
        await super().test_a_power_cut_takes_the_process_the_memory_and_the_boot(bed)
