"""A card that `roadside flash` has made: never started, cut off, failed, done."""

import pytest

from agent.doctor import first_start, gpio, serial
from agent.doctor.finding import Severity
from agent.flashing import bootfiles
from tests.doctor.tree import named

CHECK = named(first_start.CHECKS, "card.first_start")
LOG = "boot/firmware/roadside-log.txt"
BEGUN = "      9 s after power-on: This gateway is pkt-0042. The files on the card are whole.\r\n"


@pytest.mark.parametrize(
    ("last", "severity", "said"),
    [
        ("Done: the green LED stays on. Roadside runs.", Severity.FINE, "is done"),
        ("NOT DONE (2 blinks): the release is for trixie-aarch64", Severity.ERROR, "(2 blinks of the green LED)"),
        ("NOT DONE (6 blinks): Roadside does not start:\r\n    no such driver", Severity.ERROR, "no such driver"),
        ("Installing Roadside 0.1.0.", Severity.WARNING, "was cut off at: Installing"),
    ],
)
def test_the_last_line_of_the_log_tells_how_it_went(tree, last, severity, said):
    tree.write(LOG, f"{BEGUN}     40 s after power-on: {last}\r\n")
    found = tree.finding(CHECK)
    assert (found.severity, said in found.what) == (severity, True)


def test_a_card_that_was_never_started(tree):
    (tree.root / LOG).unlink()
    assert tree.finding(CHECK).severity is Severity.UNKNOWN
    tree.write("boot/firmware/roadside/card.json", "{}")
    assert tree.finding(CHECK).severity is Severity.WARNING


def test_before_the_first_start_the_configuration_lies_on_the_boot_partition(tree):
    text = tree.read("etc/roadside/gateway.toml").replace("pkt-0042", "pkt-0077")
    tree.write("boot/firmware/roadside/gateway.toml", text)
    assert tree.card("boot/firmware").config.gateway.id == "pkt-0077"


@pytest.mark.parametrize("generation", ["bookworm", "trixie"])
@pytest.mark.parametrize("model", ["", "Raspberry Pi 4 Model B\0", "Raspberry Pi 5 Model B\0"])
def test_what_roadside_flash_writes_is_as_the_doctor_wants_it(tree, generation, model):
    cmdline = "console=serial0,115200 console=tty1 root=PARTUUID=1c2d3e4f-02 rootwait"
    for name, data in bootfiles.starters(generation, "pkt-0042", "digest", cmdline, "dtparam=audio=on\n").items():
        tree.write(f"boot/firmware/{name}", data.decode())
    tree.write("proc/device-tree/model", model)
    found = [one for check in (*serial.CHECKS, *gpio.CHECKS) for one in check.findings(tree.site())]
    assert [one.what for one in found if one.severity is not Severity.FINE] == []
