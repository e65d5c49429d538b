import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from gpiozero.exc import PinUnknownPi
from gpiozero.pins.mock import MockFactory

from drivers.ports.gpio import QUEUE_LIMIT, GpiozeroInput, GpiozeroPorts, steady
from drivers.seams import GpioPorts, PortError, PortFault

SOON = 5.0  # seconds


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


@pytest.fixture
def factory() -> MockFactory:
    return MockFactory()


@pytest.fixture
def ports(factory: MockFactory) -> Iterator[GpiozeroPorts]:
    ports = GpiozeroPorts(boottime, lambda: factory)
    yield ports
    ports.close()


async def in_a_thread(call: Callable[[], object]) -> None:
    """Drive pins as lgpio does: from a thread that is not the loop's."""
    thread = threading.Thread(target=call)
    thread.start()
    await asyncio.to_thread(thread.join, SOON)


async def fetch(line: GpiozeroInput, count: int) -> list[tuple[float, bool]]:
    edges: list[tuple[float, bool]] = []
    async with asyncio.timeout(SOON):
        while len(edges) < count:
            edges += await line.wait(None)
    return edges


async def test_edges_come_in_order_with_their_instants(ports: GpiozeroPorts, factory: MockFactory) -> None:
    line = ports.input(17, pull="up", active="low")
    assert line.active() is False
    waiting = asyncio.create_task(fetch(line, 3))
    await asyncio.sleep(0)
    pin = factory.pin(17)
    before = boottime()
    await in_a_thread(lambda: (pin.drive_low(), pin.drive_high(), pin.drive_low()))
    after = boottime()
    edges = await waiting
    assert [active for _, active in edges] == [True, False, True]
    assert line.active() is True
    times = [at for at, _ in edges]
    assert times == sorted(times)
    assert before - 0.01 <= times[0] <= times[-1] <= after
    assert line.dropped() == 0


async def test_an_edge_keeps_the_instant_at_which_it_happened_however_late_it_is_told(factory: MockFactory) -> None:
    suspended = 1000.0  # seconds by which boottime is ahead of the factory's monotonic ticks
    ports = GpiozeroPorts(lambda: time.monotonic() + suspended, lambda: factory)
    line = ports.input(17, pull="down", active="high")
    happened = time.monotonic() - 0.25
    line.changed(happened, 1)
    [(at, active)] = await fetch(line, 1)
    assert active is True
    assert at == pytest.approx(happened + suspended, abs=0.01)


async def test_pulls_and_levels_are_the_wirings(ports: GpiozeroPorts, factory: MockFactory) -> None:
    assert ports.input(5, pull="up", active="high").active() is True
    assert ports.input(6, pull="down", active="high").active() is False
    assert ports.input(13, pull="down", active="low").active() is True
    assert ports.input(19, pull="none", active="high").active() is False
    assert [factory.pin(number).pull for number in (5, 6, 13, 19)] == ["up", "down", "down", "floating"]


async def test_a_wait_ends_at_its_time_without_edges(ports: GpiozeroPorts) -> None:
    line = ports.input(17, pull="up", active="low")
    until = boottime() + 0.02
    assert await line.wait(until) == []
    assert boottime() >= until - 0.001
    assert await line.wait(until) == []  # already past


async def test_a_flood_is_bounded_keeps_the_latest_and_counts_the_rest(
    ports: GpiozeroPorts, factory: MockFactory
) -> None:
    line = ports.input(17, pull="up", active="low")
    pin = factory.pin(17)

    def flood() -> None:
        for _ in range(QUEUE_LIMIT):
            pin.drive_low()
            pin.drive_high()

    flood()
    edges = await fetch(line, 1)
    assert len(edges) == QUEUE_LIMIT
    assert edges[-1][1] is line.active() is False
    assert (line.dropped(), line.dropped()) == (QUEUE_LIMIT, 0)


async def test_no_edge_is_lost_between_a_thread_and_the_loop(ports: GpiozeroPorts, factory: MockFactory) -> None:
    line = ports.input(17, pull="up", active="low")
    pin = factory.pin(17)
    waiting = asyncio.create_task(fetch(line, 1000))
    await in_a_thread(lambda: [drive() for _ in range(500) for drive in (pin.drive_low, pin.drive_high)])
    assert [active for _, active in await waiting] == [True, False] * 500


async def test_the_callback_stays_alive_although_nobody_else_holds_it(
    ports: GpiozeroPorts, factory: MockFactory
) -> None:
    ports.input(17, pull="up", active="low")
    assert factory.pin(17).when_changed is not None


def test_an_edge_after_the_loop_has_ended_does_not_raise_in_the_factorys_thread(factory: MockFactory) -> None:
    async def open_it() -> GpiozeroPorts:
        ports = GpiozeroPorts(boottime, lambda: factory)
        ports.input(17, pull="up", active="low")
        return ports

    ports = asyncio.run(open_it())
    factory.pin(17).drive_low()
    ports.close()


async def test_a_closed_line_is_silent_and_its_pin_free_again(ports: GpiozeroPorts, factory: MockFactory) -> None:
    first = ports.input(17, pull="up", active="low")
    with pytest.raises(PortError, match="GPIO17: another device") as caught:
        ports.output(17, active="high", initial=False)
    assert caught.value.fault is PortFault.TAKEN
    first.close()
    second = ports.input(17, pull="up", active="low")
    first.close()
    factory.pin(17).drive_low()
    assert len(await fetch(second, 1)) == 1


@pytest.mark.parametrize(("active", "initial", "levels"), [("low", False, [1, 0, 1]), ("high", False, [0, 1, 0])])
async def test_an_output_is_driven_by_its_logical_level(
    factory: MockFactory, active: str, initial: bool, levels: list[int]
) -> None:
    ports: GpioPorts = GpiozeroPorts(boottime, lambda: factory)
    line = ports.output(22, active=active, initial=initial)
    pin = factory.pin(22)
    seen = [pin.state]
    for level in (True, False):
        line.write(level)
        seen.append(pin.state)
    assert seen == levels
    line.close()
    line.close()
    assert pin.function == "input"


async def test_what_a_pin_cannot_do_is_a_failure_that_names_it(ports: GpiozeroPorts) -> None:
    with pytest.raises(PortError, match=r"GPIO2: .*pull") as caught:
        ports.input(2, pull="down", active="high")  # GPIO2 is I2C's and has a resistor of its own
    assert caught.value.fault is PortFault.FAILED
    with pytest.raises(PortError, match="GPIO99"):
        ports.input(99, pull="up", active="low")


# --- the factory ----------------------------------------------------------------------------------------------------


async def test_the_factory_is_the_one_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    ports = GpiozeroPorts(boottime)
    ports.output(22, active="high", initial=True).close()
    ports.close()


async def test_an_unknown_factory_is_never_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mocc")
    with pytest.raises(PortError, match="GPIOZERO_PIN_FACTORY=mocc") as caught:
        GpiozeroPorts(boottime).output(22, active="high", initial=True)
    assert caught.value.fault is PortFault.FAILED


async def test_without_lgpio_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    monkeypatch.setitem(sys.modules, "lgpio", None)  # Python's own way of saying "not installed"
    with pytest.raises(PortError, match="python3-lgpio"):
        GpiozeroPorts(boottime).output(22, active="high", initial=True)


@pytest.mark.parametrize(
    ("error", "fault", "words"),
    [
        (PinUnknownPi("unable to locate Pi revision"), PortFault.MISSING, "is it a Raspberry Pi"),
        (FileNotFoundError(2, "No such file or directory", ".lgd-nfy-3"), PortFault.FAILED, "WorkingDirectory="),
    ],
)
async def test_a_factory_that_cannot_be_made_is_explained(
    tmp_path: Path, error: Exception, fault: PortFault, words: str
) -> None:
    def make() -> Any:
        raise error

    with pytest.raises(PortError, match=words) as caught:
        GpiozeroPorts(boottime, make, tmp_path).output(22, active="high", initial=True)
    assert caught.value.fault is fault


async def test_a_factory_is_tried_again_after_a_failure(factory: MockFactory) -> None:
    outcomes = iter([False, True])

    def make() -> Any:
        if not next(outcomes):
            raise OSError("not yet")
        return factory

    ports = GpiozeroPorts(boottime, make)
    with pytest.raises(PortError, match="not yet"):
        ports.output(22, active="high", initial=True)
    ports.output(22, active="high", initial=True)


# The chip is a file that nobody but its owner may use; root becomes nobody first.
WITHOUT_PERMISSION = """
import os, tempfile
from pathlib import Path
from drivers.seams import PortError
from drivers.ports.gpio import GpiozeroPorts

def make():
    raise OSError("can not open gpiochip")

with tempfile.TemporaryDirectory() as folder:
    os.chmod(folder, 0o755)
    chip = Path(folder, "gpiochip0")
    chip.touch()
    chip.chmod(0)
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    try:
        GpiozeroPorts(float, make, Path(folder)).output(22, active="high", initial=True)
    except PortError as error:
        print(error.fault, error.detail)
    os.seteuid(user)
"""


def test_a_chip_that_may_not_be_opened_is_a_matter_of_permission() -> None:
    arguments = [sys.executable, "-c", WITHOUT_PERMISSION]
    said = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=30).stdout
    assert said.startswith("not_permitted ")
    assert "gpiochip0: " in said


# --- the thread in which lgpio calls callbacks -----------------------------------------------------------------------


class Notifying(ModuleType):
    """As much of the lgpio module as tells whether its thread is there: `end` stands for a callback that raised."""

    def __init__(self) -> None:
        super().__init__("lgpio")
        self.started = 0
        self._notify_thread = self._callback_thread()

    def _callback_thread(self) -> threading.Thread:
        self.started += 1
        self._ended = threading.Event()
        thread = threading.Thread(target=self._ended.wait, daemon=True)
        thread.start()
        return thread

    def end(self) -> None:
        self._ended.set()
        self._notify_thread.join(SOON)


@pytest.fixture
def lgpio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notifying]:
    lgpio = Notifying()
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    yield lgpio
    lgpio.end()


async def test_when_no_edge_can_come_any_more_that_is_told(ports: GpiozeroPorts, lgpio: Notifying) -> None:
    line = ports.input(17, pull="up", active="low")
    assert await line.wait(boottime() + 0.01) == []
    lgpio.end()
    with pytest.raises(PortError, match="lgpio's thread has ended") as caught:
        await line.wait(boottime() + 10)
    assert caught.value.fault is PortFault.FAILED


async def test_edges_that_came_before_are_told_before(ports: GpiozeroPorts, lgpio: Notifying) -> None:
    line = ports.input(17, pull="up", active="low")
    line.changed(time.monotonic(), 0)
    lgpio.end()
    assert [active for _, active in await line.wait(None)] == [True]


async def test_whoever_claims_a_pin_then_makes_another_thread_and_those_before_are_told_all_the_same(
    ports: GpiozeroPorts, lgpio: Notifying
) -> None:
    first, second = (ports.input(pin, pull="up", active="low") for pin in (17, 27))
    lgpio.end()
    first.close()
    first = ports.input(17, pull="up", active="low")
    assert lgpio.started == 2
    assert await first.wait(boottime() + 0.01) == []
    with pytest.raises(PortError):  # its callback belongs to the thread that is gone
        await second.wait(boottime() + 10)


# --- outputs of lgpio ------------------------------------------------------------------------------------------------


class LgpioStandIn(ModuleType):
    """As much of the lgpio module as gpiozero needs for an output; it knows what the pin's level was over time."""

    BOTH_EDGES, RISING_EDGE, FALLING_EDGE = 3, 1, 2
    SET_PULL_NONE, SET_PULL_UP, SET_PULL_DOWN = 128, 32, 64

    def __init__(self) -> None:
        super().__init__("lgpio")
        self.levels: list[int] = []

    def gpiochip_open(self, _chip: int) -> int:
        return 0

    def gpiochip_close(self, _handle: int) -> None:
        pass

    def gpio_claim_input(self, _handle: int, _gpio: int, _flags: int = 0) -> None:
        pass

    def gpio_claim_output(self, _handle: int, _gpio: int, level: int = 0) -> None:
        self.levels.append(level)

    def gpio_get_mode(self, _handle: int, _gpio: int) -> int:
        return 2  # an output

    def gpio_write(self, _handle: int, _gpio: int, level: int) -> None:
        self.levels.append(int(level))


async def test_a_siren_that_is_active_low_does_not_cry_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    lgpio = LgpioStandIn()
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    from gpiozero.pins.lgpio import LGPIOFactory

    class Pi3Factory(LGPIOFactory):  # type: ignore[misc] # gpiozero has no types
        def _get_revision(self) -> int:
            return 0xA02082

    ports = GpiozeroPorts(boottime, lambda: steady(Pi3Factory(chip=0)))
    line = ports.output(22, active="low", initial=False)
    line.write(True)
    assert lgpio.levels == [1, 0]
    ports.close()
    sys.modules.pop("gpiozero.pins.lgpio")
