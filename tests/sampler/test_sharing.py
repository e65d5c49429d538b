"""Serial ports that others may listen in on, or have for a while."""

from __future__ import annotations

import asyncio

import pytest

from agent.sampler.sharing import SharedPorts
from drivers.contract import SerialLine
from drivers.ports.scripted import Expect, Fail, Give, ScriptedSerialPort, ScriptedSerialPorts
from drivers.seams import PortError, PortFault

PORT = "/dev/ttyUSB0"
LINE = SerialLine()


class Clock:
    boot = "0" * 32

    def boottime(self):
        return 5_000_000_000


def shared(*ports):
    return SharedPorts(ScriptedSerialPorts({PORT: ports}), Clock())


async def test_a_port_does_what_it_does_without():
    port = await shared(ScriptedSerialPort(Expect(b"?"), Give(b"!"), Give(b"late"), Fail())).open(PORT, LINE)
    port.write(b"?")
    assert await port.read() == b"!"
    port.flush()
    with pytest.raises(PortError) as caught:
        await port.read()
    assert caught.value.fault is PortFault.UNPLUGGED


async def test_who_listens_hears_both_ways_and_only_as_long_as_he_does():
    ports = shared(ScriptedSerialPort(Give(b"before"), Expect(b"?"), Give(b"!"), Give(b"after")))
    port = await ports.open(PORT, LINE)
    heard = []
    await port.read()
    with ports.listening(PORT, heard.append):
        port.write(b"?")
        await port.read()
    assert await port.read() == b"after"
    assert heard == [(5_000_000_000, b"?", True), (5_000_000_000, b"!", False)]


async def test_who_listens_before_a_port_is_opened_or_while_it_is_waited_for_hears_it():
    ports = shared(ScriptedSerialPort(Expect(b"?"), Give(b"!")))
    heard = []
    with ports.listening(PORT, heard.append):
        port = await ports.open(PORT, LINE)
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0)
        port.write(b"?")
        assert await reading == b"!"
    assert [passed.data for passed in heard] == [b"?", b"!"]


async def test_whoever_reads_a_port_that_is_lent_is_told_and_has_it_back_when_it_is_returned():
    ports = shared(ScriptedSerialPort(), ScriptedSerialPort(Give(b"again")))
    port = await ports.open(PORT, LINE)
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    with ports.lend(PORT):
        assert ports.is_lent(PORT)
        with pytest.raises(PortError) as caught:
            await reading
        assert caught.value.fault is PortFault.TAKEN
        with pytest.raises(PortError, match="it is lent to whoever asked for it"):
            port.write(b"x")
        opening = asyncio.create_task(ports.open(PORT, LINE))
        done, _ = await asyncio.wait({opening}, timeout=0.05)
        assert not done
    assert await (await opening).read() == b"again"
    assert not ports.is_lent(PORT)


async def test_a_port_that_is_lent_while_it_is_being_opened_is_closed_again():
    class Slow:
        """Opens when it is let."""

        def __init__(self):
            self.may = asyncio.Event()
            self.port = ScriptedSerialPort(Give(b"x"))

        async def open(self, _path, _line):
            await self.may.wait()
            return self.port

    slow = Slow()
    ports = SharedPorts(slow, Clock())
    opening = asyncio.create_task(ports.open(PORT, LINE))
    await asyncio.sleep(0)
    with ports.lend(PORT):
        slow.may.set()
        with pytest.raises(PortError) as caught:
            await opening
    assert caught.value.fault is PortFault.TAKEN
    with pytest.raises(PortError):
        slow.port.write(b"")


async def test_a_port_that_nobody_has_open_can_be_lent():
    ports = shared(ScriptedSerialPort(Give(b"x")))
    with ports.lend(PORT):
        pass
    assert await (await ports.open(PORT, LINE)).read() == b"x"
