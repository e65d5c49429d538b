"""The rig in a virtual machine keeps to the contract of rigs: a machine for each test, which takes its time."""

import asyncio
from pathlib import Path

import aiomqtt
import pytest

from hil.rigs.description import read
from hil.rigs.timeline import Timeline
from hil.rigs.vm import VmRig
from tests.hil.rig_contract import RigContract

RIG = Path(__file__).parents[2] / "scenarios/rigs/vm.toml"


class VmBed:
    """Looks at the machine through its shell, and not through the agent."""

    def __init__(self, rig):
        self.rig = rig

    async def process(self):
        boot = await self.boot_id()
        return boot, await self.rig.run("systemctl", "show", "--value", "--property=MainPID", "roadside")

    async def connects(self):
        try:
            async with asyncio.timeout(5), aiomqtt.Client("127.0.0.1", self.rig.proxy.port, timeout=4):
                return True
        except (aiomqtt.MqttError, TimeoutError):
            return False

    async def in_memory(self):
        return (await self.rig.run("ls", "/run/roadside")).split() if self.rig.machine.is_on else []

    async def boot_id(self):
        return await self.rig.run("cat", "/proc/sys/kernel/random/boot_id")

    async def wall_clock(self):
        return float(await self.rig.run("date", "+%s"))


@pytest.fixture
async def bed(request):
    if request.config.getoption("--rig") != "vm":
        pytest.skip("boots virtual machines, which takes minutes: make hil RIG=vm")
    if reason := VmRig.why_not():
        pytest.skip(reason)
    async with VmRig(read(RIG), Timeline(), patience=60.0) as rig:
        yield VmBed(rig)


@pytest.mark.vm
class TestVmRig(RigContract):
    """All of it, but for what a virtual machine lacks."""
