import asyncio
import errno
import os
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import serial

from drivers.contract import SerialLine
from drivers.ports.serial import BUFFER_LIMIT, READ_SIZE, PosixSerialPort, PosixSerialPorts, existing, open_line
from drivers.seams import PortError, PortFault

LINE = SerialLine(9600)
SOON = 5.0  # seconds


class Wire:
    """The far end of a serial line: the master of a pty."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)

    def send(self, data: bytes) -> None:
        assert os.write(self.master, data) == len(data)

    def unplug(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.unplug()


@pytest.fixture
async def port(wire: Wire) -> AsyncIterator[PosixSerialPort]:
    port = await PosixSerialPorts().open(wire.path, LINE)
    yield port
    port.close()


async def read(port: PosixSerialPort, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(SOON):
        while len(data) < count:
            data += await port.read()
    return data


async def fault_of_opening(path: str, root: Path = Path("/")) -> PortError:
    with pytest.raises(PortError) as caught:
        await PosixSerialPorts(root).open(path, LINE)
    assert caught.value.path == path
    assert str(caught.value).startswith(path)
    return caught.value


async def test_bytes_go_both_ways(wire: Wire, port: PosixSerialPort) -> None:
    wire.send(bytes(range(256)))
    assert await read(port, 256) == bytes(range(256))
    port.write(b"\x00\n\r\x03\x11\xff")
    assert os.read(wire.master, 100) == b"\x00\n\r\x03\x11\xff"


async def test_a_read_waits_for_bytes_that_come_later(wire: Wire, port: PosixSerialPort) -> None:
    reading = asyncio.create_task(read(port, 5))
    await asyncio.sleep(0)
    assert not reading.done()
    wire.send(b"later")
    assert await reading == b"later"


async def test_a_cancelled_read_loses_no_bytes(wire: Wire, port: PosixSerialPort) -> None:
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    reading.cancel()
    wire.send(b"kept")
    assert await read(port, 4) == b"kept"


async def test_the_lines_settings_reach_the_kernel(wire: Wire) -> None:
    port = await PosixSerialPorts().open(wire.path, SerialLine(19200, 7, "E", 2))
    _, _, cflag, _, _, speed, _ = termios.tcgetattr(wire.master)
    port.close()
    assert speed == termios.B19200
    assert cflag & termios.CSTOPB


async def test_absolute_paths_are_looked_for_below_the_root(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/ttyAMA0").symlink_to(wire.path)
    port = await PosixSerialPorts(tmp_path).open("/dev/ttyAMA0", LINE)
    wire.send(b"here")
    assert await read(port, 4) == b"here"
    port.close()


async def test_unplugging_gives_what_came_before_and_then_an_error_each_time(wire: Wire, port: PosixSerialPort) -> None:
    wire.send(b"last words")
    assert await read(port, 10) == b"last words"
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    wire.unplug()
    for attempt in (lambda: reading, port.read):
        with pytest.raises(PortError) as caught:
            await asyncio.wait_for(attempt(), SOON)
        assert caught.value.fault is PortFault.UNPLUGGED
    with pytest.raises(PortError) as caught:
        port.write(b"anybody?")
    assert caught.value.fault is PortFault.UNPLUGGED
    port.flush()


async def test_a_write_finds_the_unplugged_line_too(wire: Wire, port: PosixSerialPort) -> None:
    wire.unplug()
    with pytest.raises(PortError) as caught:
        port.write(b"anybody?")
    assert caught.value.fault is PortFault.UNPLUGGED


async def test_flush_throws_away_what_came_in(wire: Wire, port: PosixSerialPort) -> None:
    def kernel_holds(count: int) -> None:
        deadline = time.monotonic() + SOON
        while port._port.in_waiting < count:
            assert time.monotonic() < deadline

    wire.send(b"taken and stale")
    kernel_holds(15)
    await asyncio.sleep(0)  # the loop takes it
    wire.send(b"still in the kernel and stale")
    kernel_holds(29)
    port.flush()
    wire.send(b"fresh")
    assert await read(port, 5) == b"fresh"


async def test_what_is_thrown_away_when_the_loop_is_about_to_read_it_leaves_the_line_as_it_was(
    wire: Wire, port: PosixSerialPort
) -> None:
    wire.send(b"stale")
    deadline = time.monotonic() + SOON
    while port._port.in_waiting < 5:
        assert time.monotonic() < deadline
    await asyncio.sleep(0)  # the loop has seen that there is something, and reads it after us
    port.flush()
    await asyncio.sleep(0)
    wire.send(b"fresh")
    assert await read(port, 5) == b"fresh"


async def test_a_line_that_does_not_send_is_an_error_and_not_a_wait(wire: Wire, port: PosixSerialPort) -> None:
    def keep_writing() -> None:
        for _ in range(10_000):
            port.write(b"x" * 256)

    with pytest.raises(PortError, match="output buffer is full") as caught:
        keep_writing()
    assert caught.value.fault is PortFault.FAILED
    received = b""
    while b"again" not in received:  # the far end reads again
        with suppress(PortError):
            port.write(b"again")
        received += os.read(wire.master, 65536)


async def test_a_flooding_device_is_not_read_beyond_the_limit_and_goes_on_afterwards(
    wire: Wire, port: PosixSerialPort
) -> None:
    os.set_blocking(wire.master, False)
    sent = refused = 0
    async with asyncio.timeout(SOON):
        # Until the port has taken what it may, and then a hundred turns of the loop in which nothing more is taken.
        while sent < BUFFER_LIMIT + READ_SIZE or refused < 100:
            try:
                sent += os.write(wire.master, b"x" * READ_SIZE)
                refused = 0
            except BlockingIOError:
                refused += 1
            await asyncio.sleep(0)
    assert sent < 4 * BUFFER_LIMIT  # the port's buffer and the kernel's
    first = await port.read()
    assert len(first) < BUFFER_LIMIT + READ_SIZE
    await read(port, sent - len(first))


async def test_closing_ends_a_waiting_read_and_may_be_repeated(port: PosixSerialPort) -> None:
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    port.close()
    port.close()
    with pytest.raises(PortError, match="closed"):
        await reading


# --- a line that cannot be had --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/dev/serial/by-id/usb-none", "/dev/null/ttyAMA0"])
async def test_a_missing_device_is_missing(path: str) -> None:
    error = await fault_of_opening(path)
    assert error.fault is PortFault.MISSING
    assert "plugged in" in error.detail


async def test_a_link_to_a_device_that_is_gone_is_missing(tmp_path: Path) -> None:
    (tmp_path / "adapter").symlink_to(tmp_path / "ttyUSB0")
    assert (await fault_of_opening("/adapter", tmp_path)).fault is PortFault.MISSING


async def test_a_file_that_is_no_serial_line_has_failed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("/file", "/"):
        error = await fault_of_opening(path, tmp_path)
        assert error.fault is PortFault.FAILED
        assert "serial line" in error.detail


async def test_settings_that_pyserial_refuses_are_a_failure(wire: Wire) -> None:
    with pytest.raises(PortError, match="parity"):
        await PosixSerialPorts().open(wire.path, SerialLine(9600, 8, "X"))


HOLD = (
    "import serial, sys; port = serial.Serial(sys.argv[1], exclusive=True); print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def other(wire: Wire) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", HOLD, wire.path]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate(timeout=SOON)


async def test_a_line_that_another_process_holds_is_taken_and_the_message_names_it(
    wire: Wire, other: subprocess.Popen[str]
) -> None:
    error = await fault_of_opening(wire.path)
    assert error.fault is PortFault.TAKEN
    assert f"(process {other.pid}) has it open" in error.detail
    other.communicate(timeout=SOON)
    (await PosixSerialPorts().open(wire.path, LINE)).close()


# Root may open anything, so root becomes nobody first; everybody else is kept out of their own terminal by its mode.
WITHOUT_PERMISSION = """
import asyncio, concurrent.futures.thread, os, sys  # all of it now: nobody may not read every place Python is in
from drivers.contract import SerialLine
from drivers.seams import PortError
from drivers.ports.serial import PosixSerialPorts

async def main():
    try:
        await PosixSerialPorts().open(sys.argv[1], SerialLine())
    except PortError as error:
        print(error.fault, error.detail)

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main())
"""


def opened_without_permission(wire: Wire, mode: int) -> str:
    Path(wire.path).chmod(mode)
    arguments = [sys.executable, "-c", WITHOUT_PERMISSION, wire.path]
    return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=30).stdout


def test_a_line_of_a_group_the_user_is_not_in_names_the_group_and_the_remedy(wire: Wire) -> None:
    group = Path(wire.path).group()
    said = opened_without_permission(wire, 0o060)
    assert said.startswith("not_permitted ")
    assert f"group {group}" in said
    if os.geteuid() == 0:  # another user may well be in the group of its own terminals
        assert f"sudo usermod -aG {group} " in said


def test_a_line_that_is_closed_to_everybody_names_its_mode(wire: Wire) -> None:
    said = opened_without_permission(wire, 0o000)
    assert said.startswith("not_permitted ")
    assert "mode c---------" in said


# --- an open() that hangs -------------------------------------------------------------------------------------------


class HangingOpener:
    """Opens when told to."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.release = threading.Event()
        self.opened: list[serial.Serial] = []

    def __call__(self, path: Path, line: SerialLine) -> serial.Serial:
        self.started.set()
        assert self.release.wait(SOON)
        self.opened.append(open_line(path, line))
        return self.opened[-1]


async def until_free(ports: PosixSerialPorts, path: str) -> PosixSerialPort:
    async with asyncio.timeout(SOON):
        while True:
            with suppress(PortError):
                return await ports.open(path, LINE)


async def test_a_hanging_open_is_cancelled_at_once_and_closed_when_it_succeeds_later(wire: Wire) -> None:
    opener = HangingOpener()
    ports = PosixSerialPorts(opener=opener)
    opening = asyncio.create_task(ports.open(wire.path, LINE))
    await asyncio.to_thread(opener.started.wait, SOON)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    with pytest.raises(PortError, match="still hangs"):  # no second thread is risked on it
        await ports.open(wire.path, LINE)

    opener.release.set()
    (await until_free(ports, wire.path)).close()
    assert [port.is_open for port in opener.opened] == [False, False]


async def test_an_open_cancelled_as_it_succeeds_is_closed_too(wire: Wire) -> None:
    opener = HangingOpener()
    opener.release.set()
    opening = asyncio.create_task(PosixSerialPorts(opener=opener).open(wire.path, LINE))
    await asyncio.sleep(0)
    while not opener.opened:  # on purpose without the loop: it must not hear of the success before the cancellation
        pass
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    (await until_free(PosixSerialPorts(), wire.path)).close()
    assert not opener.opened[0].is_open


# --- which lines there are ------------------------------------------------------------------------------------------


def test_ports_are_listed_once_each_by_their_most_lasting_name(tmp_path: Path) -> None:
    for folder in ("dev/serial/by-id", "dev/serial/by-path", "sys/class/tty/ttyS0", "sys/class/tty/ttyS1"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("ttyAMA0", "ttyUSB0", "ttyUSB1", "ttyS0", "ttyS1", "tty1"):
        (tmp_path / "dev" / name).touch()
    (tmp_path / "sys/class/tty/ttyS0/type").write_text("4\n")
    (tmp_path / "sys/class/tty/ttyS1/type").write_text("0\n")
    links = {
        "by-id/usb-1a86_USB_Serial": "ttyUSB0",
        "by-id/usb-gone": "ttyUSB9",
        "by-path/usb-0:1.1": "ttyUSB0",
        "by-path/usb-0:1.2": "ttyUSB1",
    }
    for link, device in links.items():
        (tmp_path / "dev/serial" / link).symlink_to(f"../../{device}")
    assert existing(tmp_path) == [
        "/dev/serial/by-id/usb-1a86_USB_Serial",
        "/dev/serial/by-path/usb-0:1.2",
        "/dev/ttyAMA0",
        "/dev/ttyS0",
    ]


def test_a_machine_without_serial_ports_has_none(tmp_path: Path) -> None:
    assert existing(tmp_path) == []


async def test_a_line_that_a_sandbox_bars_is_told_as_such_whatever_its_mode(wire: Wire) -> None:
    def barred(_path: Path, _line: SerialLine) -> serial.Serial:
        raise serial.SerialException(errno.EPERM, "Operation not permitted")

    await asyncio.to_thread(Path(wire.path).chmod, 0o000)
    with pytest.raises(PortError, match="a sandbox forbids it; see DeviceAllow="):
        await PosixSerialPorts(opener=barred).open(wire.path, SerialLine())
