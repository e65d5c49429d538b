"""The clock: whether it is right, who says so, and how far the crystal drifts.

A Pi has no battery clock: without a network it begins with the time of its last stop. Readings are dated by anchors,
and TLS needs a day that is right.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.commands import wording
from agent.doctor.finding import Check, Command, Severity, Verdict, error, fine, unknown, warning
from agent.i18n import _
from agent.timekeeper import BUILT, DRIFT
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.doctor.finding import Finding
    from agent.doctor.site import Site
    from agent.readings import Anchor

SECOND = 1_000_000_000  # nanoseconds
FLOORS = ("var/lib/systemd/timesync/clock", "usr/lib/clock-epoch")  # whose time the clock has been at or beyond
SLACK = 60 * SECOND
LONG_ENOUGH = 3600 * SECOND  # between two anchors, for their difference to tell a drift
SERVICES = ("systemd-timesyncd.service", "chrony.service", "ntpsec.service", "ntp.service")
RESTART = Command(("systemctl", "restart", "systemd-timesyncd.service"), safe=True)
LOOK = Command(("timedatectl", "timesync-status"), root=False)


def day(site: Site) -> Iterator[Verdict]:
    """Look whether the day can be right at all."""
    now = site.clock.utc()
    floor = BUILT
    for file in FLOORS:
        try:
            floor = max(floor, site.path(file).stat().st_mtime_ns)
        except FileNotFoundError:
            continue
    floor = max(floor, int(site.status.get("clock", {}).get("floor", 0)) * SECOND)
    if now < floor - SLACK:
        text = _("the clock is wrong: it says {now}, and this gateway has already lived through {floor}")
        by_hand = Command(("date", "--utc", "--set", "YYYY-MM-DD HH:MM"))
        advice = _("connect the network and wait a minute, or set the clock by hand, with the right time")
        yield error(text.format(now=_utc(now), floor=_utc(floor)), RESTART, by_hand, advice=advice)
    else:
        yield fine(_("the clock says {now}").format(now=_utc(now)))


def synchronised(site: Site) -> Iterator[Verdict]:
    """Ask the agent or, where none answers, the kernel and timesyncd."""
    clock = site.status.get("clock", {})
    sync = site.clock.synchronised()
    source = clock.get("source") or (sync.source if sync else None)
    if source:
        uncertainty = clock.get("uncertainty")
        off = uncertainty if uncertainty is not None else sync.uncertainty if sync else 0.0
        yield fine(_("synchronised by {source}, to {off:.2f} s").format(source=source, off=off))
    else:
        advice = _("connect the network; behind a firewall, name a time server in /etc/systemd/timesyncd.conf")
        yield warning(_("the clock is not synchronised"), LOOK, RESTART, advice=advice)


def service(site: Site) -> Iterator[Verdict]:
    """Look who keeps the time."""
    states = site.run(("systemctl", "is-active", *SERVICES)).output.split()
    active = [name for name, state in zip(SERVICES, states, strict=False) if state == "active"]
    if len(active) > 1:
        text = _("{services} all set the clock, and against each other").format(services=", ".join(active))
        yield error(text, Command(("systemctl", "disable", "--now", active[0])))
    elif active:
        yield fine(_("{service} keeps the time").format(service=active[0]))
    elif states:
        mend = Command(("systemctl", "enable", "--now", SERVICES[0]), safe=True)
        yield error(_("nobody keeps the time: no time service is running"), mend)
    else:
        yield unknown(_("systemd does not answer"))


def faults(site: Site) -> Iterator[Verdict]:
    """Ask the agent, which holds the clock against anchors and a GNSS receiver."""
    if fault := site.status.get("clock", {}).get("fault"):
        yield error(wording.of_clock(fault), LOOK)
    elif site.status:
        yield fine(_("the agent has found no contradiction"))
    else:
        yield unknown(site.status_problem)


def drift(site: Site) -> Iterator[Verdict]:
    """Compare the crystal with the right time: at the anchors of one boot that the journal has kept."""
    rates = list(drifts(site.anchors()))
    if not rates:
        yield unknown(_("no hour of one boot is known at both ends: the drift cannot be told"))
        return
    ppm = max(rates, key=abs) * 1e6
    what = _("the crystal drifts by {ppm:.0f} ppm, {seconds:.1f} s a day").format(ppm=ppm, seconds=ppm * 0.0864)
    if abs(ppm) > DRIFT * 1e6:
        yield warning(what, advice=_("replace the Pi if its clock must go right without a network"))
    else:
        yield fine(what)


def drifts(anchors: list[Anchor]) -> Iterator[float]:
    """Yield how much faster the crystal is than the time, by the first and the last anchor of each boot."""
    by_boot: dict[str, list[Anchor]] = {}
    for anchor in anchors:
        if anchor.source != "estimate":
            by_boot.setdefault(anchor.boot, []).append(anchor)
    for some in by_boot.values():
        first, last = min(some, key=lambda one: one.at), max(some, key=lambda one: one.at)
        if last.at - first.at >= LONG_ENOUGH:
            yield (last.at - first.at) / (last.utc - first.utc) - 1


def is_wrong(findings: list[Finding]) -> bool:
    """Tell whether the clock is known to be wrong or not known to be right: then no date of a certificate counts."""
    bad = {Severity.WARNING, Severity.ERROR}
    return any(one.severity in bad for one in findings if one.name in {"clock.day", "clock.synchronised"})


def _utc(nanoseconds: int) -> str:
    return f"{datetime.fromtimestamp(nanoseconds // SECOND, UTC):%Y-%m-%d %H:%M} UTC"


CHECKS = (
    Check("clock.day", N_("with a wrong day no encrypted connection comes about"), day),
    Check("clock.synchronised", N_("until it is, readings wait or go up undated"), synchronised),
    Check("clock.service", N_("somebody must set the clock after each boot"), service),
    Check("clock.faults", N_("readings would get a wrong date"), faults),
    Check("clock.drift", N_("without a network readings are dated by the crystal; 100 ppm are reckoned with"), drift),
)
