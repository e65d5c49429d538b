"""Serial ports: missing, held by a real process, named in a way that changes, or one of two that are alike."""

import os
import subprocess
import sys

import pytest

from agent.doctor import ports
from agent.doctor.finding import Severity
from tests.doctor.tree import named

HOLD = "import sys; line = open(sys.argv[1], 'rb+', buffering=0); print('open', flush=True); sys.stdin.read()"
CH340 = {"idVendor": "1a86", "idProduct": "7523"}


def check(name):
    return named(ports.CHECKS, name)


def use(tree, port):
    tree.replace("etc/roadside/gateway.toml", "/dev/ttyAMA0", port)


def adapter(tree, tty, socket, **identity):
    """Plug a USB adapter in."""
    place = f"sys/devices/usb1/{socket}"
    for name, text in identity.items():
        tree.write(f"{place}/{name}", text + "\n")
    tree.write(f"{place}/{tty}/uevent", "")
    tree.link(f"sys/class/tty/{tty}/device", f"../../../devices/usb1/{socket}/{tty}")
    tree.write(f"dev/{tty}", "")
    tree.link(f"dev/serial/by-path/usb-{socket}-port0", f"../../{tty}")


@pytest.fixture
def pty(tree):
    """A real serial line as the tree's /dev/ttyAMA0; of the real /proc there is the process that tests."""
    (tree.root / "dev/ttyAMA0").unlink()
    ours, line = os.openpty()
    tree.link("dev/ttyAMA0", os.ttyname(line))
    tree.link(f"proc/{os.getpid()}", f"/proc/{os.getpid()}")
    os.close(line)
    yield os.readlink(tree.root / "dev/ttyAMA0")
    os.close(ours)


@pytest.fixture
def process(tree, pty):
    """A process that has the line open."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, pty], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "open\n"
        tree.link(f"proc/{process.pid}", f"/proc/{process.pid}")
        yield process
        process.stdin.close()


def test_a_port_that_is_there_is_fine(tree):
    assert tree.finding(check("serial.port")).severity is Severity.FINE


def test_of_a_port_that_is_missing_it_is_said_which_there_are(tree):
    use(tree, "/dev/ttyUSB7")
    found = tree.finding(check("serial.port"))
    assert found.severity is Severity.ERROR
    assert "there are: /dev/ttyAMA0" in found.what


@pytest.mark.usefixtures("pty")
def test_a_port_that_nobody_holds_is_fine(tree):
    assert tree.finding(check("serial.holder")).severity is Severity.FINE


def test_the_process_that_holds_a_port_is_named(tree, process):
    found = tree.finding(check("serial.holder"))
    assert found.severity is Severity.ERROR
    assert f"(process {process.pid}) has /dev/ttyAMA0 open" in found.what
    assert str(found.commands[0]) == f"sudo kill {process.pid}"


def test_the_agent_may_hold_it(tree, process):
    tree.write("run/roadside/agent.lock", f"{process.pid}\n")
    assert tree.finding(check("serial.holder")).severity is Severity.FINE


def test_a_name_that_changes_is_replaced_by_one_that_lasts(tree):
    adapter(tree, "ttyUSB0", "1-1.2", **CH340)
    use(tree, "/dev/ttyUSB0")
    found = tree.finding(check("serial.name"))
    assert found.severity is Severity.WARNING
    assert found.advice.endswith("/dev/serial/by-path/usb-1-1.2-port0")


def test_two_adapters_that_are_alike_are_told_apart_by_their_sockets(tree):
    adapter(tree, "ttyUSB0", "1-1.2", **CH340)
    adapter(tree, "ttyUSB1", "1-1.3", **CH340)
    tree.link("dev/serial/by-id/usb-1a86-if00-port0", "../../ttyUSB1")
    use(tree, "/dev/serial/by-id/usb-1a86-if00-port0")
    found = tree.finding(check("serial.twins"))
    assert found.severity is Severity.ERROR
    assert found.advice.endswith("/dev/serial/by-path/usb-1-1.3-port0")


def test_two_with_serial_numbers_are_no_twins(tree):
    adapter(tree, "ttyUSB0", "1-1.2", **CH340, serial="A1")
    adapter(tree, "ttyUSB1", "1-1.3", **CH340, serial="A2")
    tree.link("dev/serial/by-id/usb-1a86-if00-port0", "../../ttyUSB1")
    use(tree, "/dev/serial/by-id/usb-1a86-if00-port0")
    assert tree.finding(check("serial.twins")).severity is Severity.FINE
