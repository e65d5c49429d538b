"""A healthy gateway as a folder tree: a test breaks exactly one thing in it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.doctor import opening, programs
from agent.doctor.programs import Done
from agent.host.paths import Paths
from agent.seams import Sync

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.doctor.finding import Check, Finding
    from agent.doctor.site import Site

PROJECT = Path(__file__).parents[2]
NOW = 1_795_400_000 * 10**9  # 2026-11-23, nanoseconds
CONFIGURATION = """\
[gateway]
id = "pkt-0042"

[uplinks.city]
url = "mqtt://127.0.0.1:1"

[devices.air-1]
driver = "plantower"
port = "/dev/ttyAMA0"

[devices.rain-1]
driver = "rain_gauge"
pin = 17
mm_per_tip = 0.2
"""
FILES = {
    "boot/firmware/cmdline.txt": "console=tty1 root=PARTUUID=1c2d3e4f-02 rootfstype=ext4 fsck.repair=yes rootwait\n",
    "boot/firmware/config.txt": "dtparam=audio=on\n[all]\nenable_uart=1\ndtoverlay=disable-bt\n",
    "boot/firmware/roadside-log.txt": "     41 s after power-on: Done: the green LED stays on.\r\n",
    "dev/gpiochip0": "",
    "dev/ttyAMA0": "",
    "etc/group": "root:x:0:\ndialout:x:20:roadside\ngpio:x:997:roadside\nroadside:x:996:\n",
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nroadside:x:996:996::/var/lib/roadside:/usr/sbin/nologin\n",
    "etc/roadside/gateway.toml": CONFIGURATION,
    "etc/systemd/system.conf.d/roadside-watchdog.conf": (PROJECT / "systemd/watchdog.conf").read_text(),
    "etc/systemd/system/roadside.service": (PROJECT / "systemd/roadside.service").read_text(),
    "opt/roadside/releases/1/lib/python3.13/site-packages/gpiozero-2.0.1.post3.dist-info/METADATA": "",
    "opt/roadside/releases/1/pyvenv.cfg": "include-system-site-packages = true\n",
    "proc/cmdline": "console=tty1 root=/dev/mmcblk0p2\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/self/mountinfo": "1 1 179:2 / / rw,noatime - ext4 /dev/mmcblk0p2 rw\n",
    "proc/self/mounts": "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n",
    "proc/sys/kernel/osrelease": "6.12.25+rpt-rpi-v8\n",
    "proc/uptime": "100000.00 390000.00\n",
    "sys/block/mmcblk0/mmcblk0p2/partition": "2\n",
    "sys/block/mmcblk0/mmcblk0p2/uevent": "DEVNAME=mmcblk0p2\n",
    "sys/block/mmcblk0/size": f"{32 * 10**9 // 512}\n",
    "sys/block/mmcblk0/stat": "1 0 8 0 50 0 200000 0 0 0 0\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/fs/ext4/mmcblk0p2/errors_count": "0\n",
    "sys/fs/ext4/mmcblk0p2/lifetime_write_kbytes": "40000000\n",
    "usr/lib/python3/dist-packages/lgpio-0.2.2.0.egg-info/PKG-INFO": "",
    "var/lib/systemd/timesync/clock": "",
}
LINKS = {
    "etc/systemd/system/multi-user.target.wants/roadside.service": "/etc/systemd/system/roadside.service",
    "opt/roadside/current": "releases/1",
    "sys/dev/block/179:2": "../../block/mmcblk0/mmcblk0p2",
}
RUNNING = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "ExecMainStatus": "0",
    "NRestarts": "0",
    "WatchdogUSec": "30s",
    "StatusText": "2 devices; city online; 0 waiting",
}


class StillClock:
    """Implements `agent.seams.Clock` for a moment."""

    boot = "0" * 32

    def __init__(self, utc: int = NOW, sync: Sync | None = Sync("timesyncd", 0.11)) -> None:  # noqa: B008 - a constant
        self._utc = utc
        self._sync = sync

    def boottime(self) -> int:
        return 10**14

    def utc(self) -> int:
        return self._utc

    def synchronised(self) -> Sync | None:
        return self._sync


class Systemd:
    """Plays what asks systemd or the kernel, and runs everything else for real."""

    def __init__(self) -> None:
        self.unit = dict(RUNNING)
        self.active = {"systemd-timesyncd.service"}
        self.dmesg = "Booting Linux on physical CPU 0x0\n"
        self.exposure = "1.3 OK"
        self.ran: list[tuple[str, ...]] = []

    def __call__(self, argv: Sequence[str]) -> Done:
        match tuple(argv):
            case ("systemctl", "show", *_rest):
                return Done(0, "".join(f"{key}={value}\n" for key, value in self.unit.items()), "")
            case ("systemctl", "is-active", *units):
                return Done(0, "".join("active\n" if one in self.active else "inactive\n" for one in units), "")
            case ("systemctl", *rest) if "--root" not in rest:
                self.ran.append(tuple(argv))
                return Done(0, "", "")
            case ("systemd-analyze", *_rest):
                return Done(0, f"→ Overall exposure level for roadside.service: {self.exposure}\n", "")
            case ("journalctl", *_rest):
                return Done(0, self.dmesg, "")
        self.ran.append(tuple(argv))
        return programs.run(argv)


class Tree:
    """The tree, and how it is looked at."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.systemd = Systemd()
        self.clock = StillClock()
        self.status: dict[str, Any] = {}
        for name, text in FILES.items():
            self.write(name, text)
        for name, target in LINKS.items():
            self.link(name, target)
        (root / "var/lib/roadside").mkdir(parents=True)
        self.lived_until(NOW - 3600 * 10**9)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def link(self, name: str, target: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def replace(self, name: str, old: str, new: str) -> None:
        text = self.read(name)
        assert old in text
        self.write(name, text.replace(old, new))

    def lived_until(self, utc: int) -> None:
        os.utime(self.root / "var/lib/systemd/timesync/clock", ns=(utc, utc))

    def uplink(self, url: str, *lines: str) -> None:
        """Have the uplink go there."""
        self.replace("etc/roadside/gateway.toml", 'url = "mqtt://127.0.0.1:1"', "\n".join([f'url = "{url}"', *lines]))

    def site(self) -> Site:
        """Return it as the gateway that runs."""
        found = opening.gateway(Paths(self.root, {}))
        status = {"status": self.status, "status_problem": ""} if self.status else {}
        return replace(found, run=self.systemd, clock=self.clock, **status)

    def card(self, *folders: str) -> Site:
        """Return it as a card in a laptop."""
        found = opening.card([self.root / one for one in folders or ("",)])
        return replace(found, run=self.systemd)

    def findings(self, check: Check) -> list[Finding]:
        return list(check.findings(self.site()))

    def finding(self, check: Check) -> Finding:
        (found,) = self.findings(check)
        return found


def named(checks: Sequence[Check], name: str) -> Check:
    """Return the check of a name."""
    return next(one for one in checks if one.name == name)
