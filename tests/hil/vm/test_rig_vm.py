"""The rig in a virtual machine keeps to the contract of rigs: a machine for each test, which takes its time."""

import asyncio
import tomllib
from pathlib import Path

import aiomqtt
import pytest

from hil.rigs.description import read
from hil.rigs.timeline import Timeline
from hil.rigs.vm import Arm64Rig, VmRig
from tests.hil.rig_contract import RigContract

RIGS = Path(__file__).parents[2] / "scenarios/rigs"
KINDS = {"vm": VmRig, "vm-arm64": Arm64Rig}


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

    async def free_on_card(self):
        said = await self.rig.run("df", "--output=avail", "/var/lib/roadside/journal")
        return int(said.split()[-1]) * 1024

    async def in_memory(self):
        return (await self.rig.run("ls", "/run/roadside")).split() if self.rig.machine.is_on else []

    async def boot_id(self):
        return await self.rig.run("cat", "/proc/sys/kernel/random/boot_id")

    async def wall_clock(self):
        return float(await self.rig.run("date", "+%s"))


@pytest.fixture
async def bed(request):
    name = request.config.getoption("--rig")
    if name not in KINDS:
        pytest.skip("boots virtual machines, which takes minutes: make hil RIG=vm")
    if reason := KINDS[name].why_not():
        pytest.skip(reason)
    async with KINDS[name](read(RIGS / f"{name}.toml"), Timeline(), patience=60.0) as rig:
        yield VmBed(rig)


@pytest.mark.vm
class TestVmRig(RigContract):
    """All of it, but for what a virtual machine lacks."""


def test_the_rig_of_the_other_processor_is_described_as_the_first_one():
    one, other = (tomllib.loads((RIGS / f"{name}.toml").read_text()) for name in KINDS)
    assert [rig["rig"].pop("kind") for rig in (one, other)] == list(KINDS)
    assert one["agent"]["settings"] == other["agent"]["settings"]
