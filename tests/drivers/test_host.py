import pytest

from agent.host.files import SystemFolder
from drivers.contract import Measurement, Reason
from drivers.devices.host import DRIVER, Settings
from drivers.seams import GatewayView
from hil.devices.host import DISK, VOLTAGE, HostFiles
from tests.drivers.feeding import values


@pytest.fixture
def pi(tmp_path):
    return HostFiles(tmp_path)


@pytest.fixture
def view(pi, tmp_path):  # noqa: ARG001 - it is there before anybody looks
    return GatewayView(SystemFolder(tmp_path), lambda _: pytest.fail("nobody asked for a link"))


def host(every=60.0):
    return DRIVER.make(Settings(), every)


def lived(gauge, view, until, at=0.0, meanwhile=None):
    """All that is told, with the second at which it is."""
    told = []
    while at <= until:
        for when, change in (meanwhile or {}).items():
            if when == at:
                change()
        told += [(at, item.quantity, item.reason or item.value) for item in gauge.look(at, view)]
        at = gauge.due()
    return told


def test_all_that_a_pi_tells_of_itself(view):
    told = values(host().look(0.0, view))
    assert 0 <= told.pop("disk_free") <= 100
    assert told == {
        "undervoltage": False,
        "undervoltages": 0,
        "cpu_temperature": 48.2,
        "throttled": False,
        "disk_life_used": 20.0,
        "disk_written": 104.9,
        "disk_written_total": 12.29,
        "memory_available": 3072.0,
        "load": 0.21,
    }
    assert {*told, "disk_free"} == set(DRIVER.quantities(Settings()))


def test_it_is_told_at_its_pace(view):
    loads = [at for at, quantity, _ in lived(host(every=60), view, until=180) if quantity == "load"]
    assert loads == [0, 60, 120, 180]


def test_each_drop_of_the_supply_is_told_at_once_and_counted(pi, view):
    def low():
        pi.undervoltage(low=True)

    def good():
        pi.undervoltage(low=False)

    came = lived(host(), view, until=59, meanwhile={5: low, 7: good, 20: low, 22: good})
    drops = [(at, value) for at, quantity, value in came if quantity == "undervoltages"]
    states = [(at, value) for at, quantity, value in came if quantity == "undervoltage"]
    assert drops == [(0, 0), (5, 1), (7, 1), (20, 2), (22, 2)]
    assert states == [(0, False), (5, True), (7, False), (20, True), (22, False)]


def test_the_count_goes_on_after_a_restart_and_begins_anew_with_the_pi(pi, view):
    first = host()
    lived(first, view, until=10, meanwhile={5: lambda: pi.undervoltage(low=True)})
    again = host()
    again.recall(first.memory())
    assert values(again.look(11.0, view))["undervoltages"] == 1  # still the same drop
    pi.undervoltage(low=False)
    pi.put("proc/sys/kernel/random/boot_id", "11111111-0a39-4c0c-9d3f-3f1f0d7f6a52")
    after = host()
    after.recall(again.memory())
    assert values(after.look(1.0, view))["undervoltages"] == 0


@pytest.mark.parametrize(
    ("bits", "throttled"), [(0x50000, False), (0x50005, True), (0x2, True), (0x8, True), (0x1, False)]
)
def test_throttled_is_what_is_now_not_what_was(pi, view, bits, throttled):
    pi.throttled(bits)
    assert values(host().look(0.0, view))["throttled"] is throttled


def test_a_card_that_does_not_tell_its_life_has_none(pi, view):
    pi.put(f"{DISK}/device/life_time", None)
    pi.put("sys/devices/platform/soc/soc:firmware/get_throttled", None)
    told = values(host().look(0.0, view))
    assert not {"disk_life_used", "throttled"} & told.keys()


def test_what_was_there_and_is_gone_is_told(pi, view):
    gauge = host(every=10)
    came = lived(gauge, view, until=20, meanwhile={10: lambda: pi.put("sys/class/thermal/thermal_zone0/temp", None)})
    assert [value for _, quantity, value in came if quantity == "cpu_temperature"] == [48.2] + [Reason.NO_REPLY] * 2


@pytest.mark.parametrize("text", ["", "warm", "0x01", "\x00"])
def test_nonsense_is_no_value(pi, view, text):
    for path in ("proc/loadavg", "proc/meminfo", f"{DISK}/stat", f"{DISK}/device/life_time", "proc/self/mountinfo"):
        pi.put(path, text)
    told = values(host().look(0.0, view))
    assert "memory_available" not in told
    assert "disk_written" not in told


def test_a_kernel_without_the_driver_is_looked_at_no_oftener_than_it_is_told(pi, view):
    pi.put(f"{VOLTAGE}/name", "other")
    gauge = host()
    gauge.look(0.0, view)
    assert gauge.due() == 60.0
    pi.put(f"{VOLTAGE}/name", "rpi_volt")  # a module that is loaded late
    assert Measurement("undervoltage", value=False) in gauge.look(60.0, view)
    assert gauge.due() == 61.0


def test_this_machine_has_something_to_tell():
    gauge = DRIVER.make(Settings(folder="/"), 60.0)
    view = GatewayView(SystemFolder(), lambda _: pytest.fail("nobody asked for a link"))
    assert {"load", "memory_available", "disk_free"} <= values(gauge.look(0.0, view)).keys()
