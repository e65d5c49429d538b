"""The rig of a bench keeps to the contract of rigs, with a fake gateway, and cables that are ptys and sockets."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import aiomqtt
import pytest

from hil.pinboard import PinBoard
from hil.rigs.bench.rig import BenchRig
from hil.rigs.description import read
from hil.rigs.timeline import Timeline
from hil.wires.pty import Pty
from tests.hil.rig_contract import RigContract, eventually
from tests.hil.test_rig_bench import HERE, PROGRAM, WITHIN

PORTS = ("ttyUSB0", "ttyAMA0")

RIG = """
[rig]
kind = "bench"

[agent]
command = [
    "env", "GPIOZERO_PIN_FACTORY=rig", "RIG_PINS={root}/gateway-pins",
    "{python}", "-m", "agent", "run", "--config", "{root}/gateway.toml", "--root", "{root}",
]
setting = ["--set", "{{key}}={{value}}"]
settings = {{ "gateway.id" = "{{gateway}}", "uplinks.city.url" = "{{broker}}" }}
unit = "roadside.service"

[bench]
far_end = ["env", "GPIOZERO_PIN_FACTORY=rig", "RIG_PINS={root}/far-pins", "{python}", "{far_end}"]
gateway = ["{python}", "{fake}", "{root}"]
power.off = ["{python}", "{fake}", "{root}", "power", "off"]
power.on = ["{python}", "{fake}", "{root}", "power", "on"]

[bench.pins]
27 = 17
22 = 23

[bench.wires."/dev/ttyUSB0"]
port = "{root}/far/ttyUSB0"

[bench.wires."/dev/ttyAMA0"]
port = "{root}/far/ttyAMA0"
plug = {{ off = ["sh", "-c", "echo 0 > {root}/plug"], on = ["sh", "-c", "echo 1 > {root}/plug"] }}

[devices.air-1]
model = "plantower"
port = "/dev/ttyAMA0"
every = 0.2

[devices.level-1]
model = "a02yyuw"
port = "/dev/ttyUSB0"
every = 0.2
mount_height = 5.0

[devices.panic-1]
model = "button"
pin = 27
every = 1e9

[devices.siren-1]
model = "siren"
pin = 22
"""
GATEWAY = """
[gateway]
id = "rig-0001"

[uplinks.city]
url = "mqtt://127.0.0.1"

[journal]
commit_interval = "500 ms"
pack_within = "100 ms"
reserve = "0 B"

[devices.air-1]
driver = "plantower"
port = "/dev/ttyAMA0"
warm_up = "0 s"
silent_after = "1 s"

[devices.level-1]
driver = "a02yyuw"
port = "/dev/ttyUSB0"
mount_height = 5.0

[devices.panic-1]
driver = "button"
pin = 27

[devices.siren-1]
driver = "siren"
pin = 22
sounds_for = ["panic-1"]
"""


class BenchBed:
    """Looks at the processes and files of this machine, where the gateway is played."""

    def __init__(self, rig, root):
        self.rig = rig
        self.root = root

    async def process(self):
        return int((self.root / "pid").read_text())

    async def connects(self):
        try:
            async with asyncio.timeout(3), aiomqtt.Client("127.0.0.1", self.rig.proxy.port, timeout=2):
                return True
        except (aiomqtt.MqttError, TimeoutError):
            return False

    async def in_memory(self):
        folder = self.root / "run/roadside"
        return os.listdir(folder) if folder.exists() else []


@contextmanager
def plugged_as_told(fifo, port):
    """Pull a plug, or put it in, as a command writes 0 or 1 into a FIFO."""
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    loop = asyncio.get_running_loop()
    loop.add_reader(reader, lambda: port.plug() if b"1" in os.read(reader, 64) else port.unplug())
    try:
        yield
    finally:
        loop.remove_reader(reader)
        os.close(reader)


@pytest.fixture
async def bed(request):
    if request.config.getoption("--rig") != "bench":
        pytest.skip(f"takes half a minute of processor time: pytest tests/hil/{Path(__file__).name} --rig=bench")
    root = Path(tempfile.mkdtemp(prefix="bench-"))  # a unix socket's path has room for 107 bytes
    (root / "run/systemd/timesync").mkdir(parents=True)
    (root / "run/systemd/timesync/synchronized").touch()
    (root / "gateway.toml").write_text(GATEWAY)
    try:
        with ExitStack() as stack:
            for name in PORTS:
                here, there = (stack.enter_context(Pty(root / end / name)) for end in ("dev", "far"))
                here.listen(there.write)
                there.listen(here.write)
                if name == "ttyAMA0":
                    stack.enter_context(plugged_as_told(root / "plug", here))
            paths = {"root": root, "python": sys.executable, "far_end": PROGRAM, "fake": HERE / "fake_gateway.py"}
            (root / "rig.toml").write_text(RIG.format(**paths))
            async with PinBoard(root / "far-pins") as far, PinBoard(root / "gateway-pins") as gateway:
                gateway.set(27, True)
                far.watch(17, lambda level, _at: gateway.set(27, level))
                far.set(23, False)
                gateway.watch(22, lambda level, _at: far.set(23, level))
                async with BenchRig(read(root / "rig.toml"), Timeline(), patience=WITHIN) as rig:
                    yield BenchBed(rig, root)
    finally:
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((root / "pid").read_text()), signal.SIGKILL)
        shutil.rmtree(root)


@pytest.mark.system
class TestBenchRig(RigContract):
    """All of it, but for what a bench lacks, and for the boot: the gateway that is played has none of its own."""

    async def test_a_power_cut_takes_the_process_the_memory_and_the_boot(self, bed):
        before = await bed.process()
        await eventually(bed, bed.in_memory)
        await bed.rig.power.cut()
        assert not await bed.in_memory()
        await bed.rig.power.restore()
        assert await bed.process() != before
        assert len(bed.rig.power.cuts) == 1
