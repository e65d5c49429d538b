"""Each serial port of the configuration: whether it is there, who has it open, and whether its name will last.

Sources: proc(5), the kernel's ABI of /sys/class/tty and of USB devices. Two adapters without serial numbers of their
own share one name in by-id, and which of them gets it changes from boot to boot.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from stat import S_ISCHR
from typing import TYPE_CHECKING

from agent.doctor.finding import Check, Command, Verdict, error, fine, unknown, warning
from agent.i18n import _
from drivers.contract import N_
from drivers.ports import serial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.doctor.site import Site

LOCK = "run/roadside/agent.lock"  # which holds the process id of the running agent: agent/host/lock.py
CHANGING = re.compile(r"/dev/tty(USB|ACM)\d+")
LASTING = ("dev/serial/by-id/*", "dev/serial/by-path/*", "dev/roadside/*")


def there(site: Site) -> Iterator[Verdict]:
    """Look whether each port is there."""
    if site.config is None:
        yield unknown(_("which ports are wanted is not known: there is no configuration that can be read"))
    elif not site.ports:
        yield fine(_("no device is on a serial port"))
    for port, device in site.ports.items():
        if site.path(port).exists():
            yield fine(_("{port} is there ({device})").format(port=port, device=device))
        else:
            choice = ", ".join(serial.existing(site.path("/"))) or _("none")
            text = _("{port} of {device} is not there; there are: {choice}")
            advice = _("plug the adapter in, or correct the port in the configuration")
            probe = Command(("roadside", "probe"), root=True)
            yield error(text.format(port=port, device=device, choice=choice), probe, advice=advice)


def holder(site: Site) -> Iterator[Verdict]:
    """Look which processes have a port open that only the agent should have."""
    agent = _agent(site)
    for port in site.ports:
        path = site.path(port)
        if not path.exists():
            continue
        found, complete = holders(site, path)
        others = {process: name for process, name in found.items() if process != agent}
        if not others and not complete:
            yield unknown(_("who has {port} open only root can see; look again with sudo").format(port=port))
        elif not others:
            yield fine(_("nobody but the agent has {port} open").format(port=port))
        for process, name in others.items():
            text = _("{name} (process {process}) has {port} open")
            end = Command(("kill", process))
            yield error(text.format(name=name, process=process, port=port), end, advice=_("stop that program"))


def names(site: Site) -> Iterator[Verdict]:
    """Look for names that change with the order in which adapters are plugged in."""
    changing = [port for port in site.ports if CHANGING.fullmatch(port)]
    for port in changing:
        text = _("{port} is what another adapter is called after the next boot")
        yield warning(text.format(port=port), advice=_use(lasting(site, port)))
    if not changing:
        yield fine(_("the ports have names that last"))


def twins(site: Site) -> Iterator[Verdict]:
    """Look for adapters that only their sockets tell apart."""
    alike = defaultdict(list)
    for tty in site.glob("sys/class/tty/tty*/device"):
        if identity := _identity(tty.resolve()):
            alike[identity].append(tty.parent.name)
    by_id = {port: site.path(port).resolve().name for port in site.ports if "/by-id/" in port}
    found = False
    for identity, ttys in alike.items():
        if len(ttys) < 2:
            continue
        text = _("{ttys} are adapters that say the same of themselves ({identity})")
        what = text.format(ttys=", ".join(ttys), identity=identity)
        for port, name in by_id.items():
            if name in ttys:
                found = True
                text = _("{what}; which of them {port} is changes from boot to boot")
                advice = _use([one for one in lasting(site, f"/dev/{name}") if "/by-id/" not in one])
                yield error(text.format(what=what, port=port), advice=advice)
    if not found:
        yield fine(_("no port goes by a name that two adapters share"))


def holders(site: Site, device: Path) -> tuple[dict[str, str], bool]:
    """Return the processes that have a device open, by their ids, and whether /proc shows all of them to us."""
    status = device.stat()
    found, complete = {}, True
    for process in site.glob("proc/[0-9]*"):
        try:
            for descriptor in process.joinpath("fd").iterdir():
                with suppress(FileNotFoundError):  # closed meanwhile, or the end of a pipe
                    opened = descriptor.stat()
                    if S_ISCHR(opened.st_mode) and opened.st_rdev == status.st_rdev:
                        found[process.name] = (process / "comm").read_text("utf-8", "replace").strip()
        except PermissionError:
            complete = False
        except OSError:
            continue  # it has ended
    return found, complete


def lasting(site: Site, port: str) -> list[str]:
    """Return the names of a port that stay."""
    real = site.path(port).resolve()
    return [site.inside(path) for pattern in LASTING for path in site.glob(pattern) if path.resolve() == real]


def _use(choice: list[str]) -> str:
    if not choice:
        return _("name it by its socket: see /dev/serial/by-path and /dev/roadside")
    return _("write this port in the configuration: {port}").format(port=choice[0])


def _identity(device: Path) -> str:
    """Return what a USB adapter says of itself; "" for what is none."""
    for folder in (device, *device.parents):
        if (folder / "idVendor").is_file():
            parts = (folder / one for one in ("idVendor", "idProduct", "serial"))
            return ":".join(part.read_text("utf-8", "replace").strip() if part.is_file() else "-" for part in parts)
    return ""


def _agent(site: Site) -> str:
    try:
        return site.text(LOCK).strip()
    except OSError:
        return ""


CHECKS = (
    Check("serial.port", N_("without its port a device is silent"), there),
    Check("serial.holder", N_("two that read one port get half of the bytes each"), holder),
    Check("serial.name", N_("a device would be read with the driver of another one"), names),
    Check("serial.twins", N_("a device would be read with the driver of another one"), twins),
)
