import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.host.manager import ServiceManager


@pytest.fixture(params=["a path", "an abstract name"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "a path" else f"@roadside-test-{os.getpid()}"


@pytest.fixture
def manager(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0", 1))
        listening.settimeout(5)
        yield listening


def test_states_arrive_at_the_manager_in_one_message(manager: socket.socket, address: str) -> None:
    ServiceManager({"NOTIFY_SOCKET": address}).notify("READY=1", "STATUS=พร้อม")
    assert manager.recv(1000).decode() == "READY=1\nSTATUS=พร้อม"


def test_a_manager_that_does_not_read_is_neither_waited_for_nor_an_error(manager: socket.socket, address: str) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": address})
    for _ in range(1000):
        service.notify("WATCHDOG=1")
    assert manager.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"NOTIFY_SOCKET": "/" + "x" * 200}])
def test_without_a_manager_nothing_happens(environment: dict[str, str]) -> None:
    ServiceManager(environment).notify("READY=1")


def test_the_watchdog_is_heeded_when_it_is_meant_for_us() -> None:
    pid = str(os.getpid())
    assert ServiceManager({"WATCHDOG_USEC": "30000000"}).watchdog() == 30.0
    assert ServiceManager({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": pid}).watchdog() == 30.0
    assert ServiceManager({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).watchdog() is None
    assert ServiceManager({"WATCHDOG_USEC": "soon"}).watchdog() is None
    assert ServiceManager({"WATCHDOG_USEC": "0"}).watchdog() is None
    assert ServiceManager({}).watchdog() is None
