"""The rig of a bench with a fake gateway and fake wires: neither ssh nor hardware, but the same streams and agent."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import tty
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hil.pinboard import PinBoard
from hil.rigs.base import Capability, RigError
from hil.rigs.bench.client import FarBoard, FarEnd, FarWire
from hil.rigs.bench.description import bench
from hil.rigs.bench.gateway import Gateway
from hil.rigs.bench.rig import BenchRig
from hil.rigs.description import read
from hil.rigs.timeline import Timeline
from tests.hil.waiting import until

HERE = Path(__file__).parent
PROGRAM = Path(sys.modules[FarEnd.__module__].__file__).with_name("far_end.py")
FAR_END = ["env", "GPIOZERO_PIN_FACTORY=mock", sys.executable, str(PROGRAM)]
FRAME = bytes.fromhex("ff 07 d0 d6")
WITHIN = 60.0  # seconds


@contextmanager
def cable():
    """Yield the paths of two ports that are wired to each other."""
    loop = asyncio.get_running_loop()
    (one, its), (other, others) = os.openpty(), os.openpty()
    for slave in (its, others):
        tty.setraw(slave)
    for source, sink in ((one, other), (other, one)):
        loop.add_reader(source, lambda source=source, sink=sink: os.write(sink, os.read(source, 4096)))
    try:
        yield os.ttyname(its), os.ttyname(others)
    finally:
        for master in (one, other):
            loop.remove_reader(master)
        for descriptor in (one, its, other, others):
            os.close(descriptor)


# --- the far end ------------------------------------------------------------------------------------------------------


async def test_bytes_go_both_ways():
    with cable() as (here, there):
        async with FarEnd(FAR_END) as far, FarEnd(FAR_END) as gateway:
            for end, port in ((far, there), (gateway, here)):
                await end.ask("open", wire="level-1", port=port, line="9600 8N1")
            came, asked = bytearray(), bytearray()
            gateway.on_wire("level-1", came.extend)
            wire = FarWire(far, "level-1")
            wire.listen(asked.extend)
            assert wire.write(FRAME) == 4
            await until(lambda: came == FRAME, WITHIN)
            FarWire(gateway, "level-1").write(b"\x55")
            await until(lambda: asked == b"\x55", WITHIN)
            assert far.faults == []


async def test_a_contact_is_low_while_it_is_closed_and_floats_otherwise():
    async with FarEnd(FAR_END) as far:
        board = FarBoard(Path("unused"), far, {27: 17})
        board.edges(27, [(False, 0.0)])
        await _level(far, 17, False)
        board.edges(27, [(True, 0.0), (False, 0.001), (True, 0.001)])
        await _level(far, 17, True)
        with pytest.raises(RigError, match="to which pin of the far end GPIO 4 of the gateway is wired"):
            board.set(4, False)


async def _level(far, pin, level):
    async with asyncio.timeout(WITHIN):
        while (await far.ask("reads", pin=pin))["level"] is not level:  # noqa: ASYNC110 - it can only be asked for
            await asyncio.sleep(0.01)


async def test_an_output_of_the_gateway_is_told_when_it_changes(tmp_path):
    path = tmp_path / "pins"
    command = ["env", "GPIOZERO_PIN_FACTORY=rig", f"RIG_PINS={path}", *FAR_END[2:]]
    async with PinBoard(path) as header, FarEnd(command) as far:
        header.set(23, False)
        board, seen = FarBoard(Path("unused"), far, {22: 23}), []
        board.watch(22, lambda level, _at: seen.append(level))
        await asyncio.wait_for(header.claims(23), WITHIN)
        header.set(23, True)
        await until(lambda: seen == [True], WITHIN)
        assert board.reads(22) is True


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"do": "open", "wire": "x", "port": "/nowhere", "line": "9600 8N1"}, "/nowhere"),
        ({"do": "open", "wire": "x", "port": "/dev/null", "line": "fast"}, "fast"),
        ({"do": "write", "wire": "x", "hex": "00"}, "x is not open"),
        ({"do": "write", "wire": "x", "hex": "0"}, "not understood"),
        ({"do": "fly"}, "unknown request 'fly'"),
        ({"do": "reads"}, "not understood: KeyError"),
    ],
)
async def test_what_cannot_be_done_is_said_and_the_far_end_goes_on(request_, why):
    async with FarEnd(FAR_END) as far:
        with pytest.raises(RigError) as error:
            await far.ask(request_.pop("do"), **request_)
        assert why in str(error.value)
        assert await far.ask("hello") == {"far_end": 1}


async def test_what_went_wrong_with_what_nobody_waited_for_is_kept():
    async with FarEnd(FAR_END) as far:
        FarWire(far, "level-1").write(FRAME)
        await until(lambda: far.faults == ["the far end: level-1 is not open"], WITHIN)


async def test_a_far_end_that_is_none_or_dies_is_told():
    with pytest.raises(RigError, match=r"bench\.far_end: /nowhere: No such file"):
        async with FarEnd(["/nowhere"]):
            pass
    with pytest.raises(RigError, match="the far end has ended: true"):
        async with FarEnd(["true"]):
            pass


# --- the gateway ------------------------------------------------------------------------------------------------------


def test_what_ssh_hands_to_a_shell_is_quoted():
    assert Gateway(["ssh", "pi"]).words("tee", "/a b;c") == ["ssh", "pi", "tee '/a b;c'"]
    assert Gateway(["sudo"]).words("tee", "/a b;c") == ["sudo", "tee", "/a b;c"]


def test_mistakes_in_the_description_are_all_told():
    with pytest.raises(RigError) as error:
        bench({"far_end": [], "gateway": ["ssh"], "pins": {"x": 1}, "speed": 1}, "RIG.toml")
    assert {line.split(": ")[1] for line in str(error.value).splitlines()} == {
        *("bench.far_end", "bench.pins.x.[key]", "bench.speed")
    }


def test_labgrid_switches_the_power_where_nothing_else_does():
    supply = bench({"far_end": ["x"], "gateway": ["y"], "labgrid": "pole"}, "RIG.toml").supply
    assert supply.off == ["labgrid-client", "-p", "pole", "power", "off"]


# --- the rig ----------------------------------------------------------------------------------------------------------

RIG = """
[rig]
kind = "bench"

[agent]
command = [{python}, "-m", "agent", "run", "--config", {config}, "--root", {root}]
setting = ["--set", "{{key}}={{value}}"]
settings = {{ "gateway.id" = "{{gateway}}", "uplinks.city.url" = "{{broker}}" }}
environment = {{ PYTHONPATH = {checkout} }}
unit = "roadside.service"

[bench]
far_end = {far_end}
gateway = {fake}
power = {{ off = {off}, on = {on} }}

[bench.wires."/dev/ttyUSB0"]
port = {port}
plug = {{ off = ["mv", {link}, {pulled}], on = ["mv", {pulled}, {link}] }}

[devices.level-1]
model = "a02yyuw"
port = "/dev/ttyUSB0"
every = 0.2
mount_height = 5.0
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
[devices.level-1]
driver = "a02yyuw"
port = "/dev/ttyUSB0"
mount_height = 5.0
silent_after = "2 s"
"""


@pytest.fixture
def root():
    folder = Path(tempfile.mkdtemp(prefix="bench-"))  # a unix socket's path has room for 107 bytes
    yield folder
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    shutil.rmtree(folder)


@pytest.fixture
async def rig(root):
    fake = [sys.executable, str(HERE / "fake_gateway.py"), str(root)]
    link = root / "dev/ttyUSB0"
    link.parent.mkdir()
    (root / "gateway.toml").write_text(GATEWAY)
    mark = root / "run/systemd/timesync/synchronized"
    mark.parent.mkdir(parents=True)
    mark.touch()
    with cable() as (here, there):
        link.symlink_to(here)
        words = {"python": sys.executable, "config": root / "gateway.toml", "root": root, "checkout": HERE.parents[1]}
        words |= {"port": there, "link": link, "pulled": root / "pulled"}
        commands = {"far_end": FAR_END, "fake": fake, "off": [*fake, "power", "off"], "on": [*fake, "power", "on"]}
        text = RIG.format(**{key: f'"{word}"' for key, word in words.items()}, **commands)
        (root / "rig.toml").write_text(text)
        async with BenchRig(read(root / "rig.toml"), Timeline(), patience=WITHIN) as rig:
            yield rig


def test_what_nobody_has_built_is_lacking(tmp_path):
    (tmp_path / "rig.toml").write_text(
        'rig.kind = "bench"\nagent.command = ["x"]\n[bench]\nfar_end = ["x"]\ngateway = ["y"]\n'
    )
    lacking = BenchRig.lacks(read(tmp_path / "rig.toml"))
    assert set(lacking) == set(Capability) - {Capability.LINK, Capability.AGENT}
    assert lacking[Capability.POWER] == "bench has no power, relay or labgrid"


@pytest.mark.system
async def test_a_gateway_is_read_killed_cut_and_unplugged(rig):
    await rig.until(lambda: rig.city.values("level-1"))
    await rig.device("level-1").says(FRAME, water_level=3.0)
    await rig.until(lambda: 3.0 in rig.city.values("level-1"))

    before = await rig.unit.pid()
    await rig.agent.kill()
    assert await rig.unit.pid() != before
    await _goes_on(rig)

    await rig.link.cut()
    await rig.link.restore()
    await _goes_on(rig)

    await rig.device("level-1").unplug()
    await rig.device("level-1").goes_silent()
    await rig.until(lambda: rig.city.state("level-1") in {"silent", "missing", "unplugged"})
    await rig.device("level-1").replug()
    await rig.device("level-1").recovers()
    await _goes_on(rig)

    await rig.power.cut()
    with pytest.raises(RigError, match="no route to host"):
        await rig.machine.run("true")
    await rig.power.restore()
    await _goes_on(rig)
    await rig.until_log(" started ", times=3)

    await rig.agent.restart({"uplinks.city.keepalive": "7 s"})
    await _goes_on(rig)
    await rig.agent.stop()
    with pytest.raises(RigError, match="nobody sees"):
        rig.account()
    with pytest.raises(RigError, match=r"clock\.step"):
        await rig.clock.step(1.0)


async def _goes_on(rig):
    before = len(rig.city.values("level-1"))
    await rig.until(lambda: len(rig.city.values("level-1")) > before + 2)
