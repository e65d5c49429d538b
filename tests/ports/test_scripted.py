import asyncio
import time

import pytest

from drivers.contract import SerialLine
from drivers.ports.scripted import (
    Expect,
    Fail,
    Give,
    ScriptedGpioPorts,
    ScriptedInput,
    ScriptedOutput,
    ScriptedSerialPort,
    ScriptedSerialPorts,
    ScriptError,
)
from drivers.seams import GpioPorts, InputLine, OutputLine, PortError, PortFault, SerialPort, SerialPorts

LINE = SerialLine()


async def test_a_script_gives_bytes_when_what_it_expects_was_written() -> None:
    script = ScriptedSerialPort(Give(b"hello"), Expect(b"\x01"), Give(b"answer"))
    port: SerialPort = script
    assert await port.read() == b"hello"
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    assert not reading.done()
    port.write(b"\x01")
    assert await reading == b"answer"
    script.done()


async def test_writing_anything_else_is_an_error_now_and_at_the_end() -> None:
    port = ScriptedSerialPort(Expect(b"\x01"))
    with pytest.raises(ScriptError, match="written 02, but next is Expect 01"):
        port.write(b"\x02")
    port.write(b"\x01")
    with pytest.raises(ScriptError, match="written 02"):
        port.done()
    with pytest.raises(ScriptError, match="next is nothing"):
        port.write(b"\x01")


async def test_a_script_that_was_not_played_to_its_end_is_not_done() -> None:
    with pytest.raises(ScriptError, match="1 steps left, the next is Give 61"):
        ScriptedSerialPort(Give(b"a")).done()


async def test_a_flush_skips_what_is_readable_now_and_no_more() -> None:
    port = ScriptedSerialPort(Give(b"noise"), Expect(b"ask"), Give(b"answer"))
    port.flush()
    port.write(b"ask")
    assert await port.read() == b"answer"


async def test_a_line_can_fail_and_can_be_closed() -> None:
    port = ScriptedSerialPort(Give(b"last"), Fail(PortFault.UNPLUGGED))
    assert await port.read() == b"last"
    with pytest.raises(PortError, match="ends the line"):
        await port.read()
    with pytest.raises(PortError):
        port.write(b"x")
    port.done()

    port = ScriptedSerialPort()
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    port.close()
    with pytest.raises(PortError, match="closed"):
        await reading


async def test_each_attempt_to_open_a_path_goes_by_the_script() -> None:
    port = ScriptedSerialPort()
    script = ScriptedSerialPorts({"/dev/a": [PortError(PortFault.TAKEN, "/dev/a"), port]})
    ports: SerialPorts = script
    with pytest.raises(PortError, match="taken"):
        await ports.open("/dev/a", LINE)
    with pytest.raises(ScriptError, match="not opened"):
        script.done()
    assert await ports.open("/dev/a", LINE) is port
    script.done()
    with pytest.raises(PortError) as caught:
        await ports.open("/dev/a", LINE)
    assert caught.value.fault is PortFault.MISSING


async def test_edges_come_at_their_times() -> None:
    start = time.monotonic()
    script = ScriptedInput(time.monotonic, [(start, True), (start, False), (start + 0.3, True)], dropped=3)
    line: InputLine = ScriptedGpioPorts({17: script}).input(17, pull="up", active="low")
    assert line.active() is False
    assert await line.wait(None) == [(start, True), (start, False)]
    assert await line.wait(start) == []
    with pytest.raises(ScriptError, match="1 edges left"):
        script.done()
    assert await line.wait(start + 10) == [(start + 0.3, True)]
    assert line.active() is True
    assert (line.dropped(), line.dropped()) == (3, 0)
    script.done()
    waiting = asyncio.create_task(line.wait(None))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_an_output_must_be_driven_as_the_script_says() -> None:
    script = ScriptedGpioPorts({22: ScriptedOutput(False, True)})
    ports: GpioPorts = script
    line: OutputLine = ports.output(22, active="high", initial=False)
    with pytest.raises(ScriptError, match="1 levels left"):
        script.done()
    line.write(True)
    script.done()
    with pytest.raises(ScriptError, match="next is nothing"):
        line.write(False)
    with pytest.raises(ScriptError, match="next is nothing"):
        script.done()


async def test_pins_that_are_not_in_the_script_are_missing() -> None:
    ports = ScriptedGpioPorts({})
    with pytest.raises(PortError, match="GPIO1"):
        ports.input(1, pull="up", active="low")
    with pytest.raises(PortError, match="GPIO1"):
        ports.output(1, active="low", initial=False)
