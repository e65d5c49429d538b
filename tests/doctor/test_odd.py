"""Whatever stands in the files of a gateway, the doctor says what it finds and does not fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.doctor import boot, examine, gpio, running
from agent.doctor.finding import Check, Severity, fine
from tests.doctor.tree import FILES, named
from tests.test_status import DEVICE, document

ODD = {"nothing": "", "a word": "nonsense\n", "words": "one two=three [four\nfive: six\n", "NUL": "\0\0"}
WORDS = st.sampled_from(
    ["dtparam=", "dtoverlay=", "i2c_arm", "=", ",", "[pi5]", "[", "]", "#", "\n", "uart0=on", "spi", " "]
)


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_a_file_that_says_something_else_is_a_finding(tree, text):
    checks = [*examine.FIRST, *running.CHECKS]
    for name in FILES:
        before = tree.read(name)
        tree.write(name, text)
        site = tree.site()
        assert all(one.what for check in checks for one in check.findings(site))
        tree.write(name, before)


def test_what_the_agent_complains_about_is_passed_on(tree):
    tree.status = document(devices={"air-1": DEVICE | {"state": "silent", "alarms": {"1": "silent"}}})
    (found,) = named(running.CHECKS, "agent.troubles").findings(tree.site())
    assert (found.severity, found.what.startswith("air-1: ")) == (Severity.WARNING, True)


def test_a_status_of_another_version_is_told(tree):
    tree.status = {"version": "9", "devices": {"air-1": 7}}
    found = tree.finding(running.CHECKS[0])
    assert (found.severity, "another version (9)" in found.what) == (Severity.WARNING, True)


@given(st.lists(WORDS).map("".join) | st.text())
def test_any_config_txt_is_read(text):
    lines = boot.settings(text, "Raspberry Pi 5 Model B")
    assert all(one.key in text and one.value in text for one in lines)
    for line, pins in gpio.takers(lines, "Raspberry Pi 5"):
        assert line in text
        assert pins


def test_what_only_root_may_see_is_unknown_and_says_so(tree):
    def look(_site):
        yield fine("the first half")
        raise PermissionError(13, "Permission denied", "/proc/1/fd")

    first, second = Check("serial.x", "", look).findings(tree.site())
    assert (first.severity, second.severity) == (Severity.FINE, Severity.UNKNOWN)
    assert second.what == "not permitted: /proc/1/fd; look again with sudo"
