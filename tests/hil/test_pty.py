"""The wire that the agent opens, and what the rig knows of who has read from it."""

import os

import pytest
import serial

from hil.wires.pty import ROOM, Pty
from tests.hil.waiting import until


@pytest.fixture
async def wire(tmp_path):
    with Pty(tmp_path / "dev/serial/by-id/usb-FTDI_1") as wire:
        yield wire


def opened(wire: Pty) -> serial.Serial:
    return serial.Serial(str(wire.link), 9600, timeout=2, exclusive=True)


async def test_what_is_written_is_read_at_the_link(wire):
    with opened(wire) as port:
        assert wire.write(b"\xff\x00\r\n\x03") == 5
        assert port.read(5) == b"\xff\x00\r\n\x03"


async def test_what_the_agent_sends_is_heard(wire):
    heard = bytearray()
    wire.listen(heard.extend)
    with opened(wire) as port:
        port.write(b"\x01\x04")
        await until(lambda: heard == b"\x01\x04")


async def test_unread_counts_what_nobody_has_read(wire):
    with opened(wire) as port:
        wire.write(b"abcdef")
        await until(lambda: wire.unread() == 6)
        port.read(4)
        assert wire.unread() == 2


async def test_bytes_written_before_anybody_opened_are_unheard(wire):
    wire.write(b"x" * 10)
    await until(lambda: wire.unread() == 10)
    with opened(wire) as port:  # opening flushes
        wire.write(b"heard")
        assert port.read(5) == b"heard"
        assert wire.stretches() == [(0, 10)]
        assert wire.heard


async def test_who_flushes_listens_though_no_byte_had_come(wire):
    with opened(wire):
        await until(lambda: wire.heard)
        assert wire.stretches() == [(0, 0)]


async def test_bytes_that_are_late_are_no_sign_of_a_reader(wire):
    for count in range(1, 200):
        wire.write(b"x")  # the kernel hands it on when it has the time
        assert not wire.heard
        if count % 20 == 0:
            await until(lambda: wire.unread() == count)  # noqa: B023 - it is over before the loop goes on


async def test_bytes_unread_at_death_and_written_while_down_are_unheard(wire):
    with opened(wire) as port:
        port.write(b"?")
        await until(lambda: wire.heard)
        wire.write(b"x" * 100)
        assert len(port.read(70)) == 70
    wire.reader_gone()
    wire.write(b"y" * 20)
    await until(lambda: wire.unread() == 50)
    assert wire.stretches() == [(0, 0), (70, float("inf"))]
    with opened(wire) as port:
        wire.write(b"z" * 5)
        assert port.read(5) == b"z" * 5
    assert wire.stretches() == [(0, 0), (70, 120)]


async def test_who_asks_was_listening(wire):
    wire.listen(wire.write)
    with opened(wire) as port:
        port.write(b"ping")
        assert await_read(port, wire) == b"ping"
    assert wire.stretches() == [(0, 0)]


def await_read(port: serial.Serial, wire: Pty) -> bytes:
    wire._readable()  # the loop is busy here, in this test
    return port.read(4)


async def test_a_line_that_nobody_reads_loses_bytes_and_keeps_its_count(wire):
    with opened(wire) as port:
        port.write(b"?")
        await until(lambda: wire.heard)
        for _ in range(3 * ROOM // 100):
            wire.write(b"x" * 100)
            await until(lambda: wire.unread() == min(wire.written, ROOM))
        assert wire.written == 3 * ROOM
        port.read(50)
    wire.reader_gone()
    assert wire.stretches()[-1] == (50, float("inf"))


async def test_unplugging_ends_the_agents_reading_and_takes_the_link(wire):
    port = os.open(wire.link, os.O_RDWR | os.O_NOCTTY)
    try:
        wire.write(b"abc")
        wire.unplug()
        assert not wire.link.is_symlink()
        while os.read(port, 100):
            pass
        with pytest.raises(OSError, match="Input/output error"):
            os.write(port, b"?")
    finally:
        os.close(port)


async def test_what_is_said_while_unplugged_is_unheard_and_a_new_line_goes_on_counting(wire):
    wire.unplug()
    wire.write(b"nobody")
    wire.plug()
    assert wire.link.is_symlink()
    with opened(wire) as port:
        port.write(b"?")
        await until(lambda: wire.heard)
        assert wire.write(b"abc") == 9
        assert port.read(3) == b"abc"
    assert wire.stretches() == [(0, 6)]


async def test_a_line_that_is_pulled_with_bytes_in_it_has_no_reader_until_somebody_comes(wire):
    with opened(wire):
        wire.write(b"abc")
        await until(lambda: wire.unread() == 3)
        wire.unplug()
        wire.write(b"def")
    assert not wire.heard
    wire.plug()
    wire.write(b"ghi")
    assert wire.stretches()[-1][1] == float("inf")
