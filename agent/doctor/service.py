"""systemd: whether the agent's unit is in place and runs, how often it was restarted, who watches and confines it.

Sources: systemctl(1) and org.freedesktop.systemd1(5) for the properties, systemd-analyze(1), systemd-system.conf(5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.doctor.finding import Check, Command, Verdict, error, fine, unknown, warning
from agent.i18n import _, ngettext, retold
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.doctor.site import Site

UNIT = "roadside.service"
FILE = f"etc/systemd/system/{UNIT}"
DROP_INS = (f"etc/systemd/system/{UNIT}.d/*.conf", f"run/systemd/system/{UNIT}.d/*.conf")
OUR_DROP_IN = "254.conf"  # systemd/install.sh
WANTS = f"etc/systemd/system/multi-user.target.wants/{UNIT}"
PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "ExecMainStatus",
    "NRestarts",
    "WatchdogUSec",
    "StatusText",
)
LOG = Command(("journalctl", "--unit", UNIT, "--lines", "50"))
CLAIM = "etc/roadside/claim"  # is shredded when it has been used
INVALID = "78"  # the exit status for a configuration that cannot be used
OFTEN = 3  # restarts
LOOSEST = 1.5  # of systemd-analyze security; docs/systemd.md
LONGEST_WATCHDOG = 15.0  # seconds that a Pi's counts to
WATCHDOG_FILES = ("etc/systemd/system.conf", "etc/systemd/system.conf.d/*.conf")
UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 1e-3, "min": 60.0, "m": 60.0, "h": 3600.0}
INSTALLER = "opt/roadside/current/systemd/install.sh"
INSTALL = N_("run systemd/install.sh of the release")


def installed(site: Site) -> Iterator[Verdict]:
    """Look for the unit's file, and whether it is started at boot."""
    if not site.path(FILE).exists():
        yield error(_("the unit {unit} is not installed").format(unit=UNIT), *_installer(site), advice=_(INSTALL))
        return
    if not site.path(WANTS).is_symlink():
        where = () if site.live else ("--root", str(site.root))
        mend = Command(("systemctl", *where, "enable", UNIT), safe=True)
        yield error(_("{unit} is not started at boot").format(unit=UNIT), mend)
        return
    yield fine(_("{unit} is started at boot").format(unit=UNIT))


def running(site: Site) -> Iterator[Verdict]:
    """Ask systemd."""
    shown = properties(site)
    state = shown.get("ActiveState", "")
    if not state:
        yield unknown(_("systemd does not answer"))
    elif state in {"active", "reloading"}:
        yield fine(retold(shown.get("StatusText", "")) or _("it is running"))
    elif shown.get("ExecMainStatus") == INVALID:
        check = Command(("roadside", "check", "/etc/roadside/gateway.toml"))
        yield error(_("it has ended: there is no configuration that it can use"), check)
    else:
        text = _("it is not running ({state}, {result})").format(state=state, result=shown.get("Result", ""))
        yield error(text, Command(("systemctl", "start", UNIT), safe=True), LOG)


def restarts(site: Site) -> Iterator[Verdict]:
    """Ask systemd how often it has started the agent again."""
    count = properties(site).get("NRestarts", "")
    if not count.isdigit():
        yield unknown(_("systemd does not tell how often it was restarted"))
        return
    text = ngettext("it was restarted {count} time", "it was restarted {count} times", int(count))
    what = text.format(count=count)
    yield warning(what, LOG) if int(count) >= OFTEN else fine(what)


def watchdog(site: Site) -> Iterator[Verdict]:
    """Look whether somebody restarts an agent that hangs."""
    shown = properties(site).get("WatchdogUSec", "")
    if not shown:
        yield unknown(_("systemd does not answer"))
    elif shown in {"0", "infinity"}:
        yield error(_("the unit has no watchdog"), *_without_drop_ins(site), advice=_(INSTALL))
    else:
        yield fine(_("an agent that hangs for {time} is restarted").format(time=shown))


def hardware_watchdog(site: Site) -> Iterator[Verdict]:
    """Look whether the Pi's own watchdog resets a system that hangs."""
    found = ""
    for pattern in WATCHDOG_FILES:
        for file in site.glob(pattern):
            for value in re.findall(r"^\s*RuntimeWatchdogSec=(.*)$", file.read_text("utf-8", "replace"), re.MULTILINE):
                found = value.strip()
    seconds = _seconds(found)
    if seconds is None or seconds <= 0:
        yield warning(_("the Pi's own watchdog is off"), *_installer(site), advice=_(INSTALL))
    elif seconds > LONGEST_WATCHDOG:
        text = _("RuntimeWatchdogSec={value} is more than the Pi's watchdog counts to, and may mean none at all")
        yield warning(text.format(value=found), *_installer(site), advice=_("write 14s"))
    else:
        yield fine(_("a system that hangs is reset after {value}").format(value=found))


def sandbox(site: Site) -> Iterator[Verdict]:
    """Let systemd judge how well the agent is confined."""
    done = site.run(("systemd-analyze", "security", "--no-pager", UNIT))
    level = re.search(r"exposure level for .*: ([0-9.]+)", done.output)
    if level is None:
        yield unknown(_("systemd does not tell how well the unit is confined"))
        return
    what = _("exposure {level} of 10").format(level=level[1])
    if float(level[1]) > LOOSEST:
        yield warning(what, *_without_drop_ins(site), advice=_("somebody has loosened the unit"))
    else:
        yield fine(what)


def configuration(site: Site) -> Iterator[Verdict]:
    """Look whether the configuration can be used."""
    if site.config_file is not None and site.config_file.exists():
        site.config_file.open("rb").close()  # whoever may not read it is told that, not what else it might be
    if site.config is not None:
        yield fine(_("{file} is valid").format(file=site.config_file))
    else:
        check = Command(("roadside", "check", str(site.config_file)))
        yield error(site.config_problem, check)


def enrolled(site: Site) -> Iterator[Verdict]:
    """Look for a claim that still waits to be used."""
    if site.path(CLAIM).exists():
        text = _("this gateway has not got its certificate yet: the claim in {file} is not used")
        yield warning(text.format(file=f"/{CLAIM}"), *([Command(("roadside", "enrol"))] if site.live else []))
    else:
        yield fine(_("no claim waits to be used"))


def _installer(site: Site) -> list[Command]:
    """Return what puts the units and settings of the release in place again, if there is a release."""
    file = site.path(INSTALLER)
    where = () if site.live else ("--root", str(site.root))
    return [Command((str(file), *where))] if file.exists() else []


def _without_drop_ins(site: Site) -> list[Command]:
    """Return what takes out the changes that somebody has made to the unit, and not our own."""
    found = [str(file) for pattern in DROP_INS for file in site.glob(pattern) if file.name != OUR_DROP_IN]
    taken = [Command(("rm", *found))] if found else []
    return [*taken, Command(("systemctl", "daemon-reload")), Command(("systemctl", "restart", UNIT))]


def properties(site: Site) -> dict[str, str]:
    """Return what systemd says of the unit; empty if it does not answer."""
    done = site.run(("systemctl", "show", UNIT, f"--property={','.join(PROPERTIES)}"))
    return dict(line.partition("=")[::2] for line in done.output.splitlines()) if not done.status else {}


def _seconds(text: str) -> float | None:
    """Return the seconds of a systemd.time(7) such as `14s`, `1min 30s` or `14`; None for what is none, such as off."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
    if not parts or any(unit not in UNITS for _number, unit in parts):
        return None
    return sum(float(number) * UNITS[unit] for number, unit in parts)


CONFIGURATION = Check("systemd.configuration", N_("without one nothing is read"), configuration)
ON_A_CARD = (
    CONFIGURATION,
    Check("systemd.unit", N_("after a power cut nobody is there to start it by hand"), installed),
    Check("systemd.enrolment", N_("without its certificate the broker does not let it in"), enrolled),
    Check(
        "systemd.hardware_watchdog", N_("a system that hangs is silent until somebody drives there"), hardware_watchdog
    ),
)
CHECKS = (
    *ON_A_CARD,
    Check("systemd.running", N_("while it is not running nothing is read"), running),
    Check("systemd.restarts", N_("an agent that keeps ending has a fault that the log tells"), restarts),
    Check("systemd.watchdog", N_("an agent that hangs is silent"), watchdog),
    Check("systemd.sandbox", N_("whoever takes over the agent should get nothing else"), sandbox),
)
