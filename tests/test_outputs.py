"""What an agent writes down of its outputs, for whoever makes them safe when it is dead."""

from __future__ import annotations

import pytest

from agent import outputs
from agent.config.load import load
from agent.host.disk import Folder
from drivers.contract import SerialLine
from drivers.ports.scripted import Expect, Give, ScriptedSerialPort, ScriptedSerialPorts
from drivers.seams import PortError
from tests.system.gateway import HERE


def test_the_outputs_are_written_down_with_the_level_at_which_they_are_on_and_forgotten_when_there_are_none(tmp_path):
    folder = Folder(tmp_path)
    devices = load(HERE / "gateway.toml").devices
    line = ("/dev/ttyUSB0", SerialLine(9600))
    assert outputs.noted(folder) == []
    outputs.note(folder, devices.values(), lambda _: line)
    assert outputs.noted(folder) == [outputs.Pin("siren-1", 22, "high")]
    outputs.note(folder, [], lambda _: line)
    assert outputs.noted(folder) == []


BOARD = """
[gateway]
id = "g-1"
[uplinks.city]
url = "mqtt://127.0.0.1"
[devices.siren-1]
driver = "relay8"
port = "/dev/ttyUSB0"
relay = 8
"""
OFF = bytes.fromhex("01 05 00 07 00 00 7C 0B")


def test_an_output_on_a_serial_line_is_written_down_with_the_request_that_switches_it_off(tmp_path):
    folder = Folder(tmp_path)
    outputs.note(folder, load(BOARD).devices.values(), lambda _: ("/dev/ttyUSB0", SerialLine(19200, parity="E")))
    assert outputs.noted(folder) == [outputs.Relay("siren-1", "/dev/ttyUSB0", (19200, 8, "E", 1), OFF.hex())]


RELAY = outputs.Relay("siren-1", "/dev/ttyUSB0", (9600, 8, "N", 1), OFF.hex())


async def test_a_relay_is_made_safe_and_asked_again_if_its_answer_is_lost():
    port = ScriptedSerialPort(Expect(OFF), Give(b"\x00"), Expect(OFF), Give(OFF))
    ports = ScriptedSerialPorts({RELAY.path: [port]})
    await outputs.make_relay_safe(ports, RELAY)
    ports.done()


async def test_a_relay_that_never_answers_may_be_on_and_that_is_said():
    ports = ScriptedSerialPorts({RELAY.path: [ScriptedSerialPort(*[Expect(OFF)] * outputs.TRIES)]})
    with pytest.raises(PortError, match="siren-1 does not answer: it may be on"):
        await outputs.make_relay_safe(ports, RELAY)


@pytest.mark.parametrize("text", ["", "{}", "[[1, 2, 3]]", '[["siren-1", "22", "high"]]', '[["siren-1", 22, "up"]]'])
def test_a_note_that_is_none_is_an_error(tmp_path, text):
    (tmp_path / outputs.NAME).write_text(text)
    with pytest.raises(ValueError, match=r"."):
        outputs.noted(Folder(tmp_path))
