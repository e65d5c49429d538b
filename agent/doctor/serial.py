"""The UART of the pins 14 and 15: who else is on it, and whether the agent may use it.

Sources: raspberrypi.com/documentation (UARTs; the Pi 5's pins are its ttyAMA0), systemd-getty-generator(8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.doctor import boot
from agent.doctor.finding import Check, Command, Verdict, error, fine, warning
from agent.doctor.site import CMDLINE_TXT, CONFIG_TXT
from agent.i18n import _
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.doctor.site import Site

HEADER = ("serial0", "ttyAMA0", "ttyS0")  # not ttyAMA10, the debug socket of a Pi 5
CONSOLE = r" ?console=(serial0|ttyAMA0|ttyS0)(,[0-9a-z]*)?"  # of sed -E
BLUETOOTH_OFF = {"disable-bt", "pi3-disable-bt", "miniuart-bt", "pi3-miniuart-bt"}
REBOOT = Command(("reboot",))
USER = "roadside"
GETTYS = "etc/systemd/system/getty.target.wants"


def console(site: Site) -> Iterator[Verdict]:
    """Look for a console of the kernel: at what runs now and at what the next boot begins with."""
    file = site.boot_file(CMDLINE_TXT)
    found = [one for one in boot.consoles(file.read_text("utf-8", "replace")) if one in HEADER]
    if found:
        mend = Command(("sed", "-i", "-E", f"s/{CONSOLE}//g; s/^ +//", str(file)), safe=True)
        text = _("the kernel writes its console to the UART ({device} in {file})").format(device=found[0], file=file)
        yield _shared(site, text, mend, *([REBOOT] if site.live else []))
    elif site.live and any(one in HEADER for one in boot.consoles(site.text("proc/cmdline"))):
        yield warning(_("the console is taken off the UART with the next boot"), REBOOT)
    else:
        yield fine(_("no console on the UART"))


def uart(site: Site) -> Iterator[Verdict]:
    """Look whether the UART is on at all."""
    if not site.wants_uart or site.config is None:
        yield fine(_("no device is on the UART of the pins"))
        return
    file = site.boot_file(CONFIG_TXT)
    lines = boot.settings(file.read_text("utf-8", "replace"), site.model)
    wanted = "dtparam=uart0=on" if boot.PI_5.search(site.model) else "enable_uart=1"
    if boot.has_uart(lines, site.model):
        yield fine(_("the UART is switched on"))
        return
    text = _("the UART of the pins is not switched on: {line} is missing in {file}").format(line=wanted, file=file)
    # Without Bluetooth the firmware may switch it on by itself: of that the documentation says two things.
    judge = warning if _is_without_bluetooth(lines) else error
    yield judge(text, _added(site, wanted), *([REBOOT] if site.live else []))


def bluetooth(site: Site) -> Iterator[Verdict]:
    """Look which UART the pins have: the good one (PL011) goes to Bluetooth unless somebody says otherwise."""
    if site.model and boot.HAS_BLUETOOTH.search(site.model) is None:
        yield fine(_("Bluetooth is not on the UART of the pins ({model})").format(model=site.model))
        return
    file = site.boot_file(CONFIG_TXT)
    lines = boot.settings(file.read_text("utf-8", "replace"), site.model)
    if _is_without_bluetooth(lines):
        yield fine(_("Bluetooth leaves the good UART (PL011) to the pins"))
    elif not site.wants_uart:
        yield fine(_("Bluetooth has the good UART (PL011), and no device of ours wants it"))
    else:
        text = _("Bluetooth has the good UART (PL011); the pins have the mini-UART, which garbles bytes")
        if not site.model:
            text = _("on a Pi 3, 4 or Zero W Bluetooth takes the good UART (PL011); {file} does not forbid it")
        mend = _added(site, "dtoverlay=disable-bt")
        yield warning(text.format(file=file), mend, *([REBOOT] if site.live else []))


def getty(site: Site) -> Iterator[Verdict]:
    """Look for a login on the UART."""
    found = [f"serial-getty@{one}.service" for one in HEADER if _is_there(site, f"{GETTYS}/serial-getty@{one}.service")]
    if found:
        where = () if site.live else ("--root", str(site.root))
        mend = Command(("systemctl", *where, "disable", *(["--now"] if site.live else []), *found), safe=True)
        yield _shared(site, _("a login waits on the UART ({units})").format(units=", ".join(found)), mend)
        return
    running = _active(site, [f"serial-getty@{one}.service" for one in HEADER]) if site.live else []
    if running:
        yield _shared(
            site,
            _("a login waits on the UART until the next boot ({units})").format(units=", ".join(running)),
            Command(("systemctl", "stop", *running), safe=True),
        )
    else:
        yield fine(_("no login on the UART"))


def groups(site: Site) -> Iterator[Verdict]:
    """Look whether the agent's user may open serial ports and pins."""
    users = {line.partition(":")[0] for line in site.text("etc/passwd").splitlines()}
    if USER not in users:
        where = [] if site.live else [f"--root={site.root}"]
        mend = Command(("systemd-sysusers", *where, "roadside.conf"), safe=True)
        yield error(_("there is no user {user}: Roadside is not installed").format(user=USER), mend)
        return
    members = {}
    for line in site.text("etc/group").splitlines():
        name, _password, _number, names = (line.split(":") + [""] * 3)[:4]
        members[name] = names.split(",")
    missing = [name for name in ("dialout", "gpio") if USER not in members.get(name, ())]
    if missing:
        where = [] if site.live else ["--prefix", str(site.root)]
        mend = Command(("usermod", *where, "-aG", ",".join(missing), USER), safe=True)
        yield error(_("user {user} is not in {groups}").format(user=USER, groups=", ".join(missing)), mend)
    else:
        yield fine(_("user {user} may use serial ports and pins").format(user=USER))


def _shared(site: Site, what: str, *commands: Command) -> Verdict:
    """Return how bad it is that somebody else is on the UART: that depends on who wants it."""
    if not site.wants_uart:
        return fine(_("{what}; no device of ours is there").format(what=what))
    return (warning if site.config is None else error)(what, *commands)


def _is_without_bluetooth(lines: list[boot.Setting]) -> bool:
    return not BLUETOOTH_OFF.isdisjoint(name for name, _parameters in boot.overlays(lines))


def _added(site: Site, line: str) -> Command:
    return Command(("sed", "-i", rf"$a [all]\n{line}", str(site.boot_file(CONFIG_TXT))), safe=True)


def _is_there(site: Site, inside: str) -> bool:
    path = site.path(inside)
    return path.exists() or path.is_symlink()


def _active(site: Site, units: list[str]) -> list[str]:
    states = site.run(("systemctl", "is-active", *units)).output.split()
    return [unit for unit, state in zip(units, states, strict=False) if state == "active"]


CHECKS = (
    Check("serial.console", N_("what the kernel writes there reaches the sensor, and garbles what it says"), console),
    Check("serial.uart", N_("a UART that is switched off has no port in /dev"), uart),
    Check("serial.bluetooth", N_("the mini-UART changes its speed with the processor's and loses bytes"), bluetooth),
    Check("serial.getty", N_("a login reads what the sensor says, and answers it"), getty),
    Check("serial.groups", N_("ports belong to the group dialout, pins to the group gpio"), groups),
)
