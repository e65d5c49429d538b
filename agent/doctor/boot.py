"""The files of the boot partition: config.txt and cmdline.txt. Source: raspberrypi.com/documentation, config.txt."""

from __future__ import annotations

import re
from typing import NamedTuple

SECTIONS = {  # a conditional filter, and what the model of which it is true is called
    "pi0": "Pi Zero",
    "pi0w": "Pi Zero W",
    "pi02": "Pi Zero 2",
    "pi1": "Pi Model",
    "pi2": "Pi 2",
    "pi3": "Pi 3",
    "pi3+": "Plus",
    "pi4": "Pi 4|Compute Module 4|Pi 400",
    "cm4": "Compute Module 4",
    "pi400": "Pi 400",
    "pi5": "Pi 5|Compute Module 5|Pi 500",
    "cm5": "Compute Module 5",
    "pi500": "Pi 500",
}

PI_5 = re.compile(r"Pi 5|Compute Module 5|Pi 500")
HAS_BLUETOOTH = re.compile(r"Pi 3|Pi 4|Pi Zero W|Pi Zero 2|Pi 400|Compute Module [34]")  # on the good UART (PL011)


class Setting(NamedTuple):
    """A line `key=value` that applies."""

    key: str
    value: str
    line: str  # without what is around it


def settings(text: str, model: str) -> list[Setting]:
    """Return the lines of a config.txt that apply to a model, as `Raspberry Pi 5 ...`; "" takes those of all models."""
    found, applies = [], True
    for written in text.splitlines():
        line = written.partition("#")[0].strip()
        if section := re.fullmatch(r"\[(.*)\]", line):
            applies = _applies(section[1].lower(), model)
        elif applies and "=" in line:
            key, _equals, value = line.partition("=")
            found.append(Setting(key.strip(), value.strip(), line))
    return found


def _applies(section: str, model: str) -> bool:
    if section == "none":
        return False
    return section not in SECTIONS or not model or re.search(SECTIONS[section], model) is not None


def parameters(settings: list[Setting]) -> dict[str, str]:
    """Return the device tree parameters (`dtparam=i2c_arm=on,spi=on`); one without a value is on."""
    found = {}
    for key, value, _line in settings:
        if key in {"dtparam", "device_tree_param"}:
            for one in value.split(","):
                name, _equals, given = one.partition("=")
                found[name.strip()] = given.strip() or "on"
    return found


def overlays(settings: list[Setting]) -> list[tuple[str, dict[str, str]]]:
    """Return the overlays with their parameters: `dtoverlay=w1-gpio,gpiopin=17`."""
    found = []
    for key, value, _line in settings:
        if key in {"dtoverlay", "device_tree_overlay"} and value:
            name, *rest = value.split(",")
            found.append((name.strip(), dict(one.partition("=")[::2] for one in map(str.strip, rest))))
    return found


def has_uart(settings: list[Setting], model: str) -> bool:
    """Tell whether the UART of the pins is on; on a Pi without Bluetooth it is unless somebody says otherwise."""
    of_pi_5 = parameters(settings).get("uart0") == "on"
    if PI_5.search(model):
        return of_pi_5
    enabled = [one.value for one in settings if one.key == "enable_uart"]
    if enabled:
        return enabled[-1] == "1"
    return of_pi_5 if not model else HAS_BLUETOOTH.search(model) is None


def consoles(cmdline: str) -> list[str]:
    """Return the devices on which the kernel has a console: `console=serial0,115200 console=tty1`."""
    return [word.removeprefix("console=").partition(",")[0] for word in cmdline.split() if word.startswith("console=")]
