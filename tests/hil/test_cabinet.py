"""The cabinet as the agent meets it, and the account of what a very simple reader of it heard."""

import asyncio
import time
from pathlib import Path

import pytest
import serial

from drivers.quantities import unit
from hil.audit import audit
from hil.cabinet import Cabinet, CabinetError
from hil.devices.talker import Ailment
from hil.emissions import Kind
from hil.packs import Received
from hil.replay import from_escaped, from_hex, load, play
from hil.wires.pty import Pty
from tests.hil.waiting import until

AIR = """
[devices.air-1]
model = "plantower"
port = "/dev/ttyAMA0"
every = 0.06
"""


@pytest.fixture
def plan(tmp_path):
    def plan(text: str) -> Path:
        path = tmp_path / "cabinet.toml"
        path.write_text(text)
        return path

    return plan


async def test_the_cabinet_of_the_example_is_laid_out_as_on_a_gateway(tmp_path):
    async with Cabinet(tmp_path) as cabinet:
        names = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "dev").rglob("*") if path.is_symlink())
        assert names == [
            "dev/serial/by-id/usb-1a86_USB_Serial-if00-port0",
            "dev/serial/by-id/usb-FTDI_USB-RS485_Cable_FT0001-if00-port0",
            "dev/ttyACM0",
            "dev/ttyAMA0",
        ]
        assert sorted(cabinet.devices) == [
            "air-1", "gnss-1", "level-1", "meter-1", "panic-1", "rain-1", "siren-1",
        ]  # fmt: skip
        await until(lambda: {"air-1", "gnss-1", "level-1"} <= {emission.device for emission in cabinet.emissions})
        account = audit(cabinet.emissions, [], deaf=cabinet.deaf)
        assert len(account.unheard) == account.emitted
        assert cabinet.environment["RIG_PINS"] == str(tmp_path / "pins.sock")
    assert not (tmp_path / "dev/ttyAMA0").is_symlink()


async def test_the_same_seed_makes_the_same_cabinet(tmp_path):
    values = []
    for seed in (1, 1, 2):
        async with Cabinet(tmp_path, seed=seed) as cabinet:
            await until(lambda here=cabinet: here.emissions)
            values.append([emission.value for emission in cabinet.devices["gnss-1"].emitted][:6])
    assert values[0] == values[1] != values[2]


class Reader:
    """The least that can be called an agent: reads a PMS5003 and says what it read."""

    def __init__(self, path: Path) -> None:
        self.port = serial.Serial(str(path), timeout=0, exclusive=True)
        self.buffer = b""
        self.received: list[Received] = []

    def read(self) -> None:
        self.buffer += self.port.read(1000)
        while len(self.buffer) >= 32:
            frame, self.buffer = self.buffer[:32], self.buffer[32:]
            for word, quantity in enumerate(("pm1", "pm2_5", "pm10", "n0_3", "n0_5", "n1", "n2_5", "n5", "n10"), 3):
                value = int.from_bytes(frame[4 + 2 * word :][:2], "big") / (1 if word < 6 else 100)
                self.received.append(
                    Received(
                        gateway="g", stream="telemetry", epoch="e", number=len(self.received), lane="live", boot="b",
                        boottime=0.0, utc=time.time(), uncertainty=0.0, arrived=0.0, device="air-1", quantity=quantity,
                        value=value, reason="", unit=unit(quantity),
                    )
                )  # fmt: skip


async def test_a_reader_that_dies_and_comes_back_leaves_nothing_unaccounted_for(tmp_path, plan):
    async with Cabinet(tmp_path, plan(AIR)) as cabinet:
        emitted = cabinet.devices["air-1"].emitted
        await until(lambda: len(emitted) >= 9)
        received = []
        for _ in range(2):
            reader = Reader(cabinet.wires["/dev/ttyAMA0"].link)
            until_now = len(emitted)
            await until(lambda r=reader, n=until_now: r.read() or len(emitted) > n + 60)
            reader.port.close()
            await cabinet.agent_gone(time.time())
            await until(lambda: cabinet.unread >= 96)
            received += reader.received
        account = audit(cabinet.emissions, received, deaf=cabinet.deaf, cuts=cabinet.cuts)
        assert account.clean, str(account)
        assert len(account.received) == len(received) >= 36
        assert len(account.unheard) >= 24
        # and the account is not clean because it excuses everything
        robbed = audit(cabinet.emissions, received[:21] + received[24:], deaf=cabinet.deaf, cuts=cabinet.cuts)
        assert len(robbed.lost) == 3


async def test_a_quiet_cabinet_says_no_more_and_keeps_its_wires(tmp_path, plan):
    async with Cabinet(tmp_path, plan(AIR)) as cabinet:
        await until(lambda: cabinet.emissions)
        cabinet.devices["air-1"].ailment = Ailment.SILENT
        await cabinet.quiet()
        assert cabinet.wires["/dev/ttyAMA0"].plugged
        await until(lambda: cabinet.unread)


async def test_a_device_that_fails_does_not_fail_silently(tmp_path, plan):
    cabinet = Cabinet(tmp_path, plan(AIR.replace("0.06", '"fast"')))
    await cabinet.__aenter__()
    await until(lambda: all(task.done() for task in cabinet._tasks))
    with pytest.raises(TypeError):
        await cabinet.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("devices = 1 2", "not a plan of a cabinet"),
        ("", "not a plan of a cabinet: 'devices'"),
        (AIR.replace("plantower", "plantowr"), r"devices.air-1.model: 'plantowr' is none of a02yyuw, hpma115"),
        (AIR.replace("every", "evry"), "devices.air-1: .*unexpected keyword argument 'evry'"),
        (AIR.replace("port", "path"), "devices.air-1: 'port'"),
    ],
)
async def test_a_plan_that_cannot_be_built_says_where_it_is_wrong(tmp_path, plan, text, complaint):
    with pytest.raises(CabinetError, match=complaint):
        await Cabinet(tmp_path, plan(text)).__aenter__()
    assert not (tmp_path / "dev/ttyAMA0").is_symlink()


async def test_rain_and_buttons_go_on_without_an_agent_and_are_unheard(tmp_path, plan):
    text = (
        '[devices.rain-1]\nmodel = "rain_gauge"\npin = 17\nevery = 0.3\n[devices.panic-1]\nmodel = "button"\npin = 27\n'
    )
    async with Cabinet(tmp_path, plan(text)) as cabinet:
        cabinet.devices["panic-1"].press()
        await until(lambda: {emission.kind for emission in cabinet.emissions} == {Kind.COUNT, Kind.STATE})
        account = audit(cabinet.emissions, [], deaf=cabinet.deaf)
        assert len(account.unheard) == account.emitted


# --- recordings ---

FRAME = "42 4D 00 1C"
SENTENCE = r"$GPTXT,01,01,02,ANTSTATUS=OK*3B\r\n"


def test_recordings_are_read_as_hexadecimal_or_escaped_text_or_bytes(tmp_path):
    hexadecimal, escaped, binary = (tmp_path / name for name in ("a.txt", "b.txt", "c.bin"))
    hexadecimal.write_text(f"# device: x\n# encoding of column 1: hex bytes\n{FRAME}\tremark\n\nFF\n")
    escaped.write_text(f"# encoding of column 1: ASCII, Python escapes\n{SENTENCE}\t{{}}\n")
    binary.write_bytes(b"\x00\xff")
    assert load(hexadecimal) == [from_hex(FRAME), b"\xff"]
    assert load(escaped) == [from_escaped(SENTENCE)] == [b"$GPTXT,01,01,02,ANTSTATUS=OK*3B\r\n"]
    assert load(binary) == [b"\x00\xff"]


async def test_a_recording_is_played_byte_for_byte_at_the_pace_of_the_line(tmp_path):
    recording = bytes(range(256))
    with Pty(tmp_path / "tty") as wire, serial.Serial(str(wire.link), timeout=2) as port:
        began = asyncio.get_running_loop().time()
        assert await play(wire, [recording, recording], baud=38400) == 512
        took = asyncio.get_running_loop().time() - began
        await until(lambda: wire.unread() == 512)
        assert port.read(512) == recording * 2
    assert took >= 512 * 10 / 38400
