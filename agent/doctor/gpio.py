"""GPIO: the chip, the library that drives it, and who else wants the pins.

Sources: raspberrypi/linux issue 6144 (6.6.45: a Pi 5's pins moved from gpiochip4 to gpiochip0), gpiozero's releases and
issue 1166, lgpio's files on PyPI, and the overlays' README of the Raspberry Pi firmware.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.doctor import boot
from agent.doctor.finding import Check, Command, Verdict, error, fine, unknown, warning
from agent.doctor.site import CONFIG_TXT
from agent.i18n import _
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.doctor.site import Site

MOVED = (6, 6, 45)  # the kernel from which on a Pi 5's pins are gpiochip0
OLDEST_GPIOZERO = (2, 0, 1, 3)  # 2.0.1.post3; post1 and post2 fail on a Pi 5, 2.0.1 looks at gpiochip4 alone
PLACEHOLDER = (0, 0, 0)  # lgpio 0.0.0.2 on PyPI has no code in it
VENV = "opt/roadside/current"
PACKAGES = (f"{VENV}/lib/python3*/site-packages", f"{VENV}/lib")
OF_DEBIAN = ("usr/lib/python3/dist-packages",)
UNIT = ("etc/systemd/system/roadside.service", "etc/systemd/system/roadside.service.d/*.conf")
APT = Command(("apt-get", "install", "python3-lgpio"))

OFF = {"off", "no", "false", "0"}

# Pins that a parameter or an overlay takes; where a parameter of the overlay names it: that, and the pin without it.
BY_PARAMETER = {
    "i2c": (2, 3),
    "i2c_arm": (2, 3),
    "i2c1": (2, 3),
    "i2c0": (0, 1),
    "i2c_vc": (0, 1),
    "spi": (7, 8, 9, 10, 11),
    "i2s": (18, 19, 20, 21),
    "uart0": (14, 15),
}
BY_OVERLAY = {
    "i2c1": (2, 3),
    "i2c-rtc": (2, 3),
    "i2c-sensor": (2, 3),
    "spi0-1cs": (7, 9, 10, 11),
    "spi0-2cs": (7, 8, 9, 10, 11),
    "spi1-1cs": (18, 19, 20, 21),
    "spi1-2cs": (17, 18, 19, 20, 21),
    "spi1-3cs": (16, 17, 18, 19, 20, 21),
    "pwm-2chan": (18, 19),
    "hifiberry-dac": (18, 19, 20, 21),
}
NAMED = {
    "w1-gpio": ("gpiopin", 4),
    "w1-gpio-pullup": ("gpiopin", 4),
    "gpio-ir": ("gpio_pin", 18),
    "gpio-ir-tx": ("gpio_pin", 18),
    "gpio-fan": ("gpiopin", 12),
    "gpio-shutdown": ("gpio_pin", 3),
    "gpio-poweroff": ("gpiopin", 26),
    "gpio-key": ("gpio", 3),
    "gpio-led": ("gpio", 0),
    "pps-gpio": ("gpiopin", 18),
    "dht11": ("gpiopin", 4),
    "pwm": ("pin", 18),
}
UARTS_OF_A_PI_4 = {"uart2": (0, 1), "uart3": (4, 5), "uart4": (8, 9), "uart5": (12, 13)}
UARTS_OF_A_PI_5 = {"uart1-pi5": (0, 1), "uart2-pi5": (4, 5), "uart3-pi5": (8, 9), "uart4-pi5": (12, 13)}


def pins(site: Site) -> dict[int, str]:
    """Return the pins that the configuration uses, and their devices."""
    found = {}
    for name, device in site.config.devices.items() if site.config else ():
        for key in ("pin", "trigger", "echo"):
            pin = getattr(device.settings, key, None)
            if isinstance(pin, int):
                found[pin] = name
    return found


def chip(site: Site) -> Iterator[Verdict]:
    """Look for the chip that the pins are on, and whether kernel and library agree on its number."""
    if not pins(site):
        yield fine(_("no device is on a pin"))
        return
    if not site.glob("dev/gpiochip*"):
        text = _("this machine has no /dev/gpiochip*: the kernel is no Raspberry Pi's")
        yield error(text, advice=_("boot Raspberry Pi OS"))
        return
    kernel = _version(site.text("proc/sys/kernel/osrelease"))
    if boot.PI_5.search(site.model) and kernel < MOVED and not site.path("dev/gpiochip0").exists():
        text = _("this kernel ({kernel}) has a Pi 5's pins on gpiochip4; from 6.6.45 on they are on gpiochip0")
        upgrade = (Command(("apt-get", "update")), Command(("apt-get", "full-upgrade")))
        yield error(text.format(kernel=".".join(map(str, kernel))), *upgrade)
    else:
        yield fine(_("the chip of the pins is there"))


def library(site: Site) -> Iterator[Verdict]:
    """Look whether gpiozero and lgpio are of versions that work on every Pi."""
    if not pins(site):
        yield fine(_("no device is on a pin"))
        return
    gpiozero = _distribution(site, "gpiozero")
    again = _("install the release anew: roadside update")
    if gpiozero is None:
        yield error(_("gpiozero is not installed in {folder}").format(folder="/" + VENV), advice=again)
    elif _version(gpiozero) < OLDEST_GPIOZERO:
        text = _("gpiozero {version} does not work on every Pi; 2.0.1.post3 and later do")
        yield error(text.format(version=gpiozero), advice=again)
    lgpio = _distribution(site, "lgpio")
    if lgpio is None:
        yield error(_("lgpio is not installed, or the venv does not see Debian's"), APT)
    elif _version(lgpio)[:3] == PLACEHOLDER:
        text = _("lgpio {version} is an empty package: pip took it because there is no wheel for this Python")
        yield error(text.format(version=lgpio), APT, advice=again)
    elif gpiozero is not None and _version(gpiozero) >= OLDEST_GPIOZERO:
        yield fine(_("gpiozero {gpiozero} on lgpio {lgpio}").format(gpiozero=gpiozero, lgpio=lgpio))


def factory(site: Site) -> Iterator[Verdict]:
    """Look which pin factory the unit tells gpiozero to use."""
    found = ""
    for pattern in UNIT:
        for file in site.glob(pattern):
            for name in re.findall(
                r"^Environment=\"?GPIOZERO_PIN_FACTORY=(\w*)", file.read_text("utf-8"), re.MULTILINE
            ):
                found = name
    if found == "lgpio":
        yield fine(_("the pin factory is lgpio"))
    elif not found and not site.glob(UNIT[0]):
        yield unknown(_("the unit is not installed"))
    else:
        advice = _("correct the line Environment=GPIOZERO_PIN_FACTORY= of the unit: it must say lgpio")
        edit = Command(("systemctl", "edit", "--full", "roadside.service"))
        yield error(_("the pin factory of the unit is '{name}', not lgpio").format(name=found), edit, advice=advice)


def conflicts(site: Site) -> Iterator[Verdict]:
    """Look for lines of config.txt that take a pin which a device is on."""
    wanted = pins(site)
    if not wanted:
        yield fine(_("no device is on a pin"))
        return
    file = site.boot_file(CONFIG_TXT)
    lines = boot.settings(file.read_text("utf-8", "replace"), site.model)
    found = False
    for line, taken in takers(lines, site.model):
        for pin in sorted(wanted.keys() & taken):
            found = True
            text = _("'{line}' in {file} takes GPIO {pin}, which {device} is on")
            advice = _("put the device on another pin, or take that line out")
            mend = Command(("sed", "-i", f"s/^{re.escape(line)}/#&/", str(file)))
            what = text.format(line=line, file=file, pin=pin, device=wanted[pin])
            yield error(what, mend, *([Command(("reboot",))] if site.live else []), advice=advice)
    if not found:
        yield fine(_("no line of config.txt takes a pin that a device is on"))


def takers(lines: list[boot.Setting], model: str) -> Iterator[tuple[str, set[int]]]:
    """Yield the lines that take pins, and which they take."""
    off = {name for name, value in boot.parameters(lines).items() if value in OFF}
    uarts = UARTS_OF_A_PI_5 if boot.PI_5.search(model) else UARTS_OF_A_PI_4
    for one in lines:
        for name in boot.parameters([one]).keys() - off:
            if name in BY_PARAMETER:
                yield one.line, set(BY_PARAMETER[name])
        if one.key == "enable_uart" and one.value == "1":
            yield one.line, {14, 15}
        for name, given in boot.overlays([one]):
            if name in NAMED:
                parameter, usual = NAMED[name]
                value = given.get(parameter, "")
                yield one.line, {int(value) if value.isdigit() else usual}
            elif taken := BY_OVERLAY.get(name) or uarts.get(name):
                yield one.line, set(taken)


def working_folder(site: Site) -> Iterator[Verdict]:
    """Look for the folder in which lgpio makes its FIFO."""
    unit = site.text(UNIT[0])
    if re.search(r"^WorkingDirectory=/run/roadside$", unit, re.MULTILINE):
        yield fine(_("lgpio can write to the working folder"))
    else:
        advice = _("put the unit of the release back: systemd/install.sh")
        yield warning(_("the unit has no WorkingDirectory=/run/roadside"), advice=advice)


def _distribution(site: Site, name: str) -> str | None:
    """Return the version of a package of the release or, where it sees them, of Debian's; None if it is in neither."""
    patterns = list(PACKAGES)
    if _sees_debian(site):
        patterns += OF_DEBIAN
    for pattern in patterns:
        for info in site.glob(f"{pattern}/{name}-*.*-info"):
            return _version_in(info, name)
    return None


def _version_in(info: Path, name: str) -> str:
    return info.name.removeprefix(f"{name}-").removesuffix(".dist-info").partition(".egg-info")[0]


def _sees_debian(site: Site) -> bool:
    """Tell whether the release sees Debian's packages: a venv says so, and what is no venv does."""
    try:
        return "include-system-site-packages = true" in site.text(f"{VENV}/pyvenv.cfg")
    except FileNotFoundError:
        return True


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, such as 6.6.51+rpt-rpi-2712 or 2.0.1.post3."""
    return tuple(map(int, re.findall(r"\d+", re.split(r"[+~-]", text.strip())[0])))


CHECKS = (
    Check("gpio.chip", N_("pins are reached through it"), chip),
    Check("gpio.library", N_("the wrong versions fall back to one that moves no pin, and hardly say so"), library),
    Check("gpio.factory", N_("only lgpio works on every Pi"), factory),
    Check("gpio.folder", N_("lgpio needs a folder that it may write to"), working_folder),
    Check("gpio.conflict", N_("two that drive one pin see edges that are none, or none at all"), conflicts),
)
