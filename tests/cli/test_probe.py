"""`roadside probe` on lines where simulated devices are: what it finds, what it never sends, and what it prints."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tomllib
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands import probe as probe_command
from agent.host.clock import SystemClock
from agent.probing import block, evidence
from agent.probing.evidence import Sureness, matches
from agent.probing.polite import ImpoliteError, PolitePorts
from agent.probing.probe import Prober
from agent.probing.questions import QUESTIONS, is_polite, reads
from drivers import registry
from drivers.contract import SerialLine
from drivers.devices import hpma115, sds011, sps30
from drivers.modbus import frames
from drivers.ports.scripted import ScriptedSerialPort, ScriptedSerialPorts
from drivers.ports.serial import PosixSerialPorts
from hil.cabinet import ON_WIRES
from hil.wires.pty import Pty
from tests.cli.roadside import ENVIRONMENT, roadside

PORT = "/dev/ttyUSB0"

# Each simulated serial device, and the driver that has to be named first.
DEVICES = {
    "a02yyuw": ("a02yyuw", {}),
    "a02yyuw, triggered": ("a02yyuw", {"triggered": True}),
    "hpma115": ("hpma115", {}),
    "hpma115, by itself": ("hpma115", {"speaks": True}),
    "ld2451": ("ld2451", {"between": 0.5}),
    "maxbotix": ("maxbotix", {}),
    "mhz19": ("mhz19", {}),
    "nmea": ("nmea", {}),
    "ops243": ("ops243", {}),
    "plantower": ("plantower", {}),
    "plantower, PMS3003": ("plantower", {"kind": "pms3003"}),
    "sdm120": ("sdm120", {}),
    "sds011": ("sds011", {}),
    "sps30": ("sps30", {}),
    "tfmini": ("tfmini", {"every": 0.1}),
    "vantage": ("vantage", {}),
    "vedirect": ("vedirect", {}),
    "wavetronix": ("wavetronix", {"every": 0.5}),
    "winsen": ("winsen", {}),
    "wxt53x": ("wxt53x", {}),
}
METERS = ("pzem004t", "sdm630", "sen0657", "xymd02")


class Eavesdropping:
    """Serial ports that keep what is sent through them."""

    def __init__(self, ports):
        self._ports = ports
        self.sent = []

    async def open(self, path, line):
        port = await self._ports.open(path, line)
        write = port.write
        port.write = lambda data: (self.sent.append(bytes(data)), write(data))
        return port


@asynccontextmanager
async def device(root, model, *, name="x", port=PORT, **settings):
    """Yield a simulated device at a port below the root."""
    with Pty(root / port.lstrip("/")) as wire:
        simulated = ON_WIRES[model](name, wire, random.Random(1), **settings)
        life = asyncio.create_task(simulated.run())
        try:
            yield simulated
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)


def prober(root, ports, port=PORT, *, lines=None, addresses=(1, 2, 20), listen_only=False, listen=2.6):
    return Prober(
        ports,
        port,
        SystemClock(root),
        lines=lines,
        addresses=addresses,
        has_speed=False,
        listen_only=listen_only,
        listen=listen,
        progress=lambda _doing, _share: None,
    )


# --- what it finds ---------------------------------------------------------------------------------------------------


async def test_every_simulated_device_is_found_at_its_speed_and_is_asked_nothing_but_polite_questions(tmp_path):
    ears = Eavesdropping(PosixSerialPorts(tmp_path))

    async def found(number, model, settings):
        port = f"/dev/ttyUSB{number}"
        async with device(tmp_path, model, port=port, **settings):
            one = prober(tmp_path, PolitePorts(ears), port)
            await one.run()
            return one.found

    todo = [*DEVICES.values(), *(("modbus", {"profile": name}) for name in METERS)]
    for (model, settings), one in zip(
        todo, await asyncio.gather(*(found(number, *each) for number, each in enumerate(todo))), strict=True
    ):
        driver = settings.get("profile", model)
        best = one.devices[0].matches[0] if one.devices else one.matches[0]
        assert (best.driver, one.line) == (driver, registry.load(driver).line), (settings, one)
    assert ears.sent
    assert {data for data in ears.sent if not is_polite(data)} == set()


async def test_of_two_that_fit_alike_the_one_that_answers_is_it(tmp_path):
    async def found(port, model, **settings):
        async with device(tmp_path, model, port=port, **settings):
            one = prober(tmp_path, PolitePorts(PosixSerialPorts(tmp_path)), port, listen=1.2)
            await one.run()
            return {match.driver: match.sureness for match in one.found.matches}

    speaks, other = await asyncio.gather(
        found("/dev/ttyUSB0", "hpma115", speaks=True, every=0.3), found("/dev/ttyUSB1", "plantower", every=0.3)
    )
    assert list(speaks.items()) == [("hpma115", Sureness.SURE), ("plantower", Sureness.LIKELY)]
    assert list(other.items()) == [("plantower", Sureness.SURE), ("hpma115", Sureness.LIKELY)]


async def test_devices_on_one_bus_are_found_at_their_addresses(tmp_path):
    with Pty(tmp_path / "dev/ttyUSB0") as wire:
        models = [
            ON_WIRES["modbus"]("a", wire, random.Random(1), profile="pzem004t", address=3),
            ON_WIRES["relay_board"]("b", wire, random.Random(1), address=40),
        ]
        lives = [asyncio.create_task(model.run()) for model in models]
        one = prober(tmp_path, PolitePorts(PosixSerialPorts(tmp_path)), addresses=(1, 3, 40, 41), listen=0.1)
        await one.run()
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
    assert [each.address for each in one.found.devices] == [3, 40]
    assert one.found.devices[0].matches[0].driver == "pzem004t"
    assert {"relay8", "waveshare_relay"} <= {match.driver for match in one.found.devices[1].matches}
    assert not any(models[1].coils)


def test_two_drivers_that_fit_the_same_bytes_are_both_named_the_surer_first():
    # 0.255 ppm of carbon monoxide, as a ZE says it; the last four bytes are 125 mm, as an A02YYUW says it.
    (first, second) = matches(bytes.fromhex("FF 04 04 00 00 FF 00 7D 7C") * 3)
    assert (first.driver, second.driver) == ("winsen", "a02yyuw")
    assert first.sureness > second.sureness


def test_more_good_frames_make_it_surer():
    level = bytes.fromhex("FF 03 9D 9F")
    assert [matches(level * count)[0].sureness for count in (1, 2, 4)] == [
        Sureness.MAYBE,
        Sureness.LIKELY,
        Sureness.SURE,
    ]


def test_noise_is_nobody():
    assert matches(bytes.fromhex("98 e6 80 00 66 86 1e 78 f8 06") * 30) == []


def test_each_driver_that_speaks_unasked_or_is_asked_in_its_own_way_has_a_strength():
    own = {name for name, target in registry.TABLE.items() if target.endswith(":DRIVER")}
    serial = {name for name in own if hasattr(registry.load(name), "line")}
    assert serial - {"line", "modbus"} == set(evidence.STRENGTH)


async def test_a_line_that_somebody_else_asks_is_left_in_peace(tmp_path):
    traffic = frames.request(1, 4, 0, 2) + frames.framed(bytes.fromhex("01 04 04 43 66 33 33"))
    with Pty(tmp_path / "dev/ttyUSB0") as wire:

        async def others():
            while True:
                wire.write(traffic)
                await asyncio.sleep(0.2)

        asking = asyncio.create_task(others())
        ears = Eavesdropping(PosixSerialPorts(tmp_path))
        one = prober(tmp_path, PolitePorts(ears), listen=1.0)
        await one.run()
        asking.cancel()
    assert one.found.is_busy
    assert ears.sent == []


async def test_what_nobody_understands_is_asked_nothing_and_shown(tmp_path):
    with Pty(tmp_path / "dev/ttyUSB0") as wire:

        async def babble():
            while True:
                wire.write(b"\x98\xe6\x80\x66" * 8)
                await asyncio.sleep(0.2)

        babbling = asyncio.create_task(babble())
        ears = Eavesdropping(PosixSerialPorts(tmp_path))
        one = prober(tmp_path, PolitePorts(ears), listen=1.0)
        await one.run()
        babbling.cancel()
    assert (one.found.anything, ears.sent) == (False, [])
    assert "98 E6 80 66" in next(block.lines(PORT, one.found, block.Names({}), has_speed=True))


# --- what it never sends ---------------------------------------------------------------------------------------------


def test_the_questions_are_those_that_somebody_has_looked_at():
    assert {question.data for question in QUESTIONS} == {
        b"U?",  # OPS243-A: which unit
        b"0rBVT\r\n",  # WXT530: all messages, with a CRC
        b"\n",  # Vantage: wake up
        b"LOOP 1\n",  # Vantage: one packet
        b"\x55",  # JSN-SR04T: one measurement
        bytes.fromhex("FF 01 86 00 00 00 00 00 79"),  # Winsen: the concentration
        bytes.fromhex("68 01 04 93"),  # Honeywell: the concentrations
        bytes.fromhex("7E 00 03 00 FC 7E"),  # SPS30: the values
    }


def test_of_modbus_devices_nothing_is_asked_but_to_read():
    assert {function for function, _first, _count in reads()} <= {1, 2, 3, 4}
    assert all(is_polite(frames.request(7, *read)) for read in reads())


@pytest.mark.parametrize(
    "data",
    [
        sps30.START,
        sps30.WAKE,
        hpma115.START,
        sds011.command(sds011.WORK),
        bytes.fromhex("42 4D E4 00 00 01 73"),  # Plantower: sleep
        bytes.fromhex("FF 01 79 00 00 00 00 00 86"),  # MH-Z19B: no more automatic calibration
        frames.request(1, frames.WRITE_COIL, 0, 0xFF00),
        frames.request(1, 6, 2, 5),
        frames.request(0, 3, 0, 1),  # to all devices
        frames.request(1, 3, 0, 1) + b"\x00",
        frames.request(1, 3, 0, 1)[:-1] + b"\x00",
        b"",
    ],
    ids=lambda data: data.hex(" ") or "nothing",
)
async def test_what_could_change_something_does_not_leave(data):
    port = await PolitePorts(ScriptedSerialPorts({PORT: [ScriptedSerialPort()]})).open(PORT, SerialLine())
    with pytest.raises(ImpoliteError):
        port.write(data)


@given(st.binary(max_size=40))
def test_nothing_else_is_polite(data):
    is_question = any(data == question.data for question in QUESTIONS)
    is_read = len(data) == 8 and data[1:2] in (b"\1", b"\2", b"\3", b"\4") and frames.intact_size(data, 0, 8) == 8
    assert is_polite(data) <= (is_question or is_read)


async def test_with_listen_only_nothing_is_sent(tmp_path):
    ears = Eavesdropping(PosixSerialPorts(tmp_path))
    async with device(tmp_path, "mhz19"):
        one = prober(tmp_path, PolitePorts(ears, listen_only=True), listen_only=True, listen=0.5)
        await one.run()
    assert (one.found.anything, ears.sent) == (False, [])


# --- what it prints ---------------------------------------------------------------------------------------------------


async def run(root, *arguments):
    """Run the command, and return its exit status, what it printed, and what it complained about."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "probe", "--root", str(root), "--listen", "1.5", *arguments),
        env=ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        printed, complained = await process.communicate()
    return process.returncode, printed.decode(), complained.decode()


async def test_all_that_is_printed_can_be_pasted(tmp_path):
    async with device(tmp_path, "plantower"), device(tmp_path, "a02yyuw", port="/dev/ttyAMA0"):
        status, printed, _ = await run(tmp_path)
    assert status == 0
    assert tomllib.loads(printed)["devices"] == {
        "plantower-1": {"driver": "plantower", "port": "/dev/ttyUSB0"},
        "a02yyuw-1": {"driver": "a02yyuw", "port": "/dev/ttyAMA0"},
    }
    assert "a pseudo-terminal has no speed" in printed
    file = tmp_path / "gateway.toml"
    file.write_text(f'[gateway]\nid = "g-1"\n[uplinks.city]\nurl = "mqtt://127.0.0.1:1"\n{printed}')
    assert roadside("check", file).returncode == 0


async def test_a_bus_is_printed_as_a_port_with_its_devices(tmp_path):
    async with device(tmp_path, "sdm120", address=5):
        status, printed, _ = await run(tmp_path, "--addresses", "4-6")
    document = tomllib.loads(printed)
    assert status == 0
    assert document["ports"] == {"rs485-1": {"path": PORT, "line": "2400 8N1"}}
    assert document["devices"] == {"sdm120-1": {"driver": "sdm120", "port": "rs485-1", "address": 5}}


async def test_nothing_found_is_exit_status_2(tmp_path):
    with Pty(tmp_path / "dev/ttyUSB0"):
        status, printed, _ = await run(tmp_path, "--listen-only", "/dev/ttyUSB0")
    assert (status, printed.startswith("# /dev/ttyUSB0: nothing was heard")) == (2, True)
    status, _, complained = await run(tmp_path)
    assert (status, complained) == (2, "there are no serial ports; is the adapter plugged in?\n")


async def test_a_port_that_cannot_be_opened_is_exit_status_1_and_the_others_are_probed(tmp_path):
    async with device(tmp_path, "maxbotix"):
        status, printed, complained = await run(tmp_path, "/dev/ttyUSB7", PORT)
    assert status == 1
    assert "/dev/ttyUSB7 is not there" in complained
    assert 'driver = "maxbotix"' in printed


async def test_ctrl_c_prints_what_is_known(tmp_path):
    with Pty(tmp_path / "dev/ttyUSB0") as wire:
        asked = asyncio.Event()
        wire.listen(lambda _data: asked.set())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent", "probe", "--root", str(tmp_path), "--listen", "0.2"),
            env=ENVIRONMENT,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            await asked.wait()
            process.send_signal(signal.SIGINT)
            printed, _ = await process.communicate()
    assert process.returncode == probe_command.NOTHING_FOUND
    assert "# not all was tried" in printed.decode()


@pytest.mark.parametrize("addresses", ["0-3", "1-248", "x", "5-", ""])
def test_addresses_that_are_none(addresses):
    done = roadside("probe", "--addresses", addresses, os.devnull)
    assert (done.returncode, "write addresses from 1 to 247" in done.stderr) == (2, True)
