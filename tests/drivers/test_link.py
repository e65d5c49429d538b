import os
import time

import pytest

from agent.host.files import SystemFolder
from drivers.contract import Reason
from drivers.devices.link import DRIVER, Settings
from drivers.seams import GatewayView, LinkCounts
from hil.devices.host import HostFiles
from tests.drivers.feeding import values

UP = LinkCounts(online=True, attempts=1, failed=0, answered=10, unanswered=0, latency=0.042)


@pytest.fixture
def pi(tmp_path):
    return HostFiles(tmp_path)


def told(tmp_path, *counts, **settings):
    """What is told at the last of several looks."""
    gauge = DRIVER.make(Settings(**settings), 60.0)
    items = []
    for number, count in enumerate(counts):
        items = gauge.look(60.0 * number, GatewayView(SystemFolder(tmp_path), lambda _, count=count: count))
        assert gauge.due() == 60.0 * (number + 1)
    return values(items)


def test_latency_and_loss_since_the_last_look(tmp_path):
    now = UP._replace(attempts=3, failed=1, answered=26, unanswered=1)
    assert told(tmp_path, UP, now) == {"link_latency": 42.0, "link_loss": 10.5}  # 2 of 19


def test_a_link_without_fault_loses_nothing(tmp_path):
    assert told(tmp_path, UP, UP._replace(answered=30)) == {"link_latency": 42.0, "link_loss": 0.0}


def test_the_first_look_has_nothing_to_compare_with(tmp_path):
    assert told(tmp_path, UP) == {}


def test_a_link_that_is_down_has_no_latency_and_loses_all(tmp_path):
    down = UP._replace(online=False, attempts=4, failed=3)
    assert told(tmp_path, UP, down) == {"link_latency": Reason.NO_REPLY, "link_loss": 100.0}


def test_while_nothing_is_even_tried_nothing_is_known(tmp_path):
    down = UP._replace(online=False)
    assert told(tmp_path, down, down) == {"link_latency": Reason.NO_REPLY, "link_loss": Reason.NO_REPLY}
    assert told(tmp_path, UP, UP) == {}


def test_the_signal_of_the_wireless_network(pi, tmp_path):
    pi.wireless(wlan0=-56, wlan1=-71)
    assert told(tmp_path, UP) == {"wifi_signal": -56.0}
    assert told(tmp_path, UP, wireless="wlan1") == {"wifi_signal": -71.0}
    assert told(tmp_path, UP, wireless="wlan2") == {}


def test_a_level_that_is_a_byte_without_sign(pi, tmp_path):
    pi.wireless(wlan0=200)
    assert told(tmp_path, UP) == {"wifi_signal": -56.0}


@pytest.mark.parametrize("text", ["", "a\nb\nwlan0", "a\nb\nwlan0: 0000 54. x.", "a\nb\nwlan0: 0000 54. 0."])
def test_nonsense_is_no_signal(pi, tmp_path, text):
    pi.put("proc/net/wireless", text)
    assert told(tmp_path, UP) == {}


def test_an_interface_that_is_gone_is_told(pi, tmp_path):
    gauge = DRIVER.make(Settings(), 60.0)
    view = GatewayView(SystemFolder(tmp_path), lambda _: UP)
    pi.wireless(wlan0=-56)
    gauge.look(0.0, view)
    pi.wireless()
    assert values(gauge.look(60.0, view))["wifi_signal"] is Reason.NO_REPLY


def test_the_signal_of_a_modem_is_in_a_file_that_is_fresh(pi, tmp_path):
    assert DRIVER.quantities(Settings(mobile_file="/run/modem"))["mobile_signal"] == "dBm"
    pi.put("run/modem", "-87.5 dBm")
    assert told(tmp_path, UP, mobile_file="/run/modem") == {"mobile_signal": -87.5}
    before = time.time() - 301
    os.utime(tmp_path / "run/modem", (before, before))
    assert told(tmp_path, UP, mobile_file="/run/modem") == {}
