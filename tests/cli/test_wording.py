"""What the ports say in English is told in Thai, whatever it is: the marks in wording.py are kept up with the ports."""

import errno
import re
from pathlib import Path

import pytest

from agent import i18n
from agent.commands.wording import of_port, unit
from drivers.ports import explain, gpio, serial
from drivers.quantities import QUANTITIES
from drivers.seams import PortError, PortFault

NAMES = (
    r"GPIO\w*|lgpio\S*|gpiozero|pin factory|[\w./-]*/[\w./*-]+|Raspberry Pi|venv|sudo [\w ./-]+|udev|--[\w-]+|'[^']*'"
)
NAMES += r"|WorkingDirectory|DeviceAllow|root|nobody|tty\w*|[-rwx]{6,}|c?crw[-rwx]*"


@pytest.fixture
def thai():
    i18n.install("th")
    yield
    i18n.install("en")


def english_in(text):
    """Return the words that are neither names nor Thai."""
    return re.findall("[A-Za-z]{3,}", re.sub(NAMES, "", text))


@pytest.mark.usefixtures("thai")
@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'lgpio'", name="lgpio"),
        FileNotFoundError("'.lgd-nfy0'"),
        OSError(errno.EACCES, "Permission denied"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("chip", [True, False])
def test_why_there_is_no_gpio_is_told_in_thai(tmp_path, error, chip):
    if chip:
        (tmp_path / "gpiochip0").touch()
    assert english_in(of_port(gpio._explain(17, error, tmp_path))) == []


@pytest.mark.usefixtures("thai")
@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EBUSY, errno.ENODEV, errno.EIO])
def test_why_a_line_cannot_be_opened_is_told_in_thai(tmp_path, number):
    error = serial._explain("/dev/ttyUSB0", tmp_path, OSError(number, "Input/output error"))
    assert english_in(of_port(error)) == []


@pytest.mark.usefixtures("thai")
@pytest.mark.parametrize("mode", [0o000, 0o660])
def test_what_permission_is_missing_is_told_in_thai(tmp_path, mode):
    device = Path(tmp_path, "ttyUSB0")
    device.touch(mode)
    device.chmod(mode)
    assert english_in(of_port(PortError(PortFault.NOT_PERMITTED, "/dev/ttyUSB0", explain.permission(device)))) == []


def test_no_unit_of_senml_that_means_nothing_to_people_is_shown():
    shown = {unit(quantity.unit) for quantity in QUANTITIES.values()}
    assert shown.isdisjoint({"/", "lat", "lon", "count", "Cel", "ug/m3"})
