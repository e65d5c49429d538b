"""The rig in a container keeps to the contract of rigs."""

import asyncio
import os

import aiomqtt
import pytest

from tests.hil.containers import container_rig
from tests.hil.rig_contract import RigContract


class ContainerBed:
    """Looks at the container through what the kernel shows of it outside."""

    def __init__(self, rig):
        self.rig = rig

    async def process(self):
        """Return its number and when it began: in a container, numbers are the same after each boot."""
        number = self.rig.container.show("roadside", "MainPID")["MainPID"]
        began = self.rig.container.seen(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
        return number, began

    async def connects(self):
        try:
            async with asyncio.timeout(3), aiomqtt.Client("127.0.0.1", self.rig.proxy.port, timeout=2):
                return True
        except (aiomqtt.MqttError, TimeoutError):
            return False

    async def free_on_card(self):
        at = os.statvfs(self.rig.container.seen("/var/lib/roadside"))
        return at.f_bavail * at.f_bsize

    async def in_memory(self):
        return os.listdir(self.rig.container.seen("/run/roadside")) if self.rig.container.is_on else []

    async def boot_id(self):
        return self.rig.container.run("cat", "/proc/sys/kernel/random/boot_id").stdout

    async def wall_clock(self):
        return float(self.rig.container.run("date", "+%s").stdout)


@pytest.fixture
async def bed():
    async with container_rig() as rig:
        yield ContainerBed(rig)


@pytest.mark.system
class TestContainerRig(RigContract):
    """All of it."""
