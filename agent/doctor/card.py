"""The card: how worn it is, what it has failed at, what room is left, and how long it will last.

Sources: Linux, Documentation/ABI (ext4, mmc) and proc(5); JESD84-B51 (how much of an eMMC's life is used). An SD card
does not say how worn it is: the forecast takes the figures below, which are cautious ones, not measured ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.doctor.finding import Check, Command, Verdict, error, fine, unknown, warning
from agent.host.files import SystemFolder
from agent.i18n import _, ngettext
from drivers.contract import N_
from drivers.devices.host import SECTOR, Disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.doctor.site import Site

FOLDER = "/var/lib/roadside"
WORN, OVER = 80.0, 100.0  # % of an eMMC's life
LEAST_FREE, LOW_FREE = 64e6, 500e6  # bytes
CYCLES = 500  # writes of the whole card: three-bit cells bear some 500 to 1000
AMPLIFICATION = 5  # bytes that a card writes inside for each that it is told to, when told in small pieces
SHORTEST = 3600.0  # seconds since the boot, below which a rate of writing says nothing
DAY, YEAR = 86_400.0, 365.25 * 86_400
TROUBLE = re.compile(
    r"EXT4-fs error|I/O error,? dev mmcblk|Buffer I/O error on dev(ice)? mmc"
    r"|mmc0: (?!.*SD ext reg).*([Ee]rror|[Tt]imeout)"  # mmc1 is the Wi-Fi; the extension register good cards lack, too
)
COPY = N_("bring what is on the card to a new one: roadside journal import")


def wear(site: Site) -> Iterator[Verdict]:
    """Ask an eMMC."""
    try:
        used = float(_disk(site).life_used() or 0)
    except (OSError, LookupError, ValueError):
        yield unknown(_("this card does not tell how worn it is; an eMMC does"))
        return
    what = _("{used:g} % of the life that was foreseen is used").format(used=used)
    if used > OVER:
        yield error(what, advice=_(COPY))
    elif used > WORN:
        yield warning(what, advice=_(COPY))
    else:
        yield fine(what)


def errors(site: Site) -> Iterator[Verdict]:
    """Ask the file system, which counts over all boots."""
    counts = {file.parent.name: int(file.read_text("ascii")) for file in site.glob("sys/fs/ext4/*/errors_count")}
    for name, count in counts.items():
        if count:
            text = ngettext(
                "the file system on {name} has met {count} error",
                "the file system on {name} has met {count} errors",
                count,
            )
            check = Command(("tune2fs", "-E", "force_fsck", f"/dev/{name}"))
            yield error(text.format(name=name, count=count), check, Command(("reboot",)), advice=_(COPY))
    if not counts:
        yield unknown(_("no file system here counts its errors"))
    elif not any(counts.values()):
        yield fine(_("the file systems have met no error"))


def kernel_log(site: Site) -> Iterator[Verdict]:
    """Look into the kernel's log of this boot."""
    done = site.run(("journalctl", "--dmesg", "--boot", "--output=cat", "--quiet", "--no-pager", "--lines=20000"))
    if done.status:
        yield unknown(_("the kernel's log cannot be read: {why}").format(why=done.errors.strip()))
        return
    found = [line for line in done.output.splitlines() if TROUBLE.search(line)]
    if found:
        text = ngettext(
            "the kernel's log has {count} error of the card, at last: {line}",
            "the kernel's log has {count} errors of the card, at last: {line}",
            len(found),
        )
        advice = _("press the card in, check the supply; if it goes on, replace the card")
        yield error(text.format(count=len(found), line=found[-1].strip()), advice=advice)
    else:
        yield fine(_("the kernel's log has no error of the card"))


def read_only(site: Site) -> Iterator[Verdict]:
    """Look whether the kernel has given up writing: ext4's errors=remount-ro."""
    mounts = [line.split() for line in site.text("proc/self/mounts").splitlines()]
    flags = {mount: (kind, options.split(",")) for _device, mount, kind, options, *_rest in mounts}
    places = [one for one in ("/", FOLDER) if one in flags and flags[one][0] != "overlay"]
    closed = [one for one in places if "ro" in flags[one][1]]
    own = FOLDER in flags and FOLDER not in closed
    if closed and not (closed == ["/"] and own):
        text = _("{place} is mounted read-only: the kernel does so when the card fails").format(place=", ".join(closed))
        yield error(text, Command(("reboot",)), advice=_(COPY))
    else:
        yield fine(_("the card can be written"))


def space(site: Site) -> Iterator[Verdict]:
    """Look how much room is left where the journal is."""
    folder = site.path(FOLDER)
    there = next(one for one in (folder, *folder.parents) if one.exists())
    room = SystemFolder(there).space("")
    text = _("{free:.1f} GB of {total:.1f} GB are free").format(free=room.free / 1e9, total=room.total / 1e9)
    mend = (
        Command(("journalctl", "--vacuum-size=16M"))
        if site.live
        else Command(("du", "--max-depth=2", "--human-readable", str(site.path("var"))))
    )
    if room.free < LEAST_FREE:
        yield error(text, mend, advice=_("remove what is not needed"))
    elif room.free < LOW_FREE:
        yield warning(text, mend, advice=_("remove what is not needed"))
    else:
        yield fine(text)


def forecast(site: Site) -> Iterator[Verdict]:
    """Reckon how long the card lasts when it goes on being written as since the boot."""
    try:
        running = float(site.text("proc/uptime").split()[0])
        disk = _disk(site)
        written = float(disk.written() or 0) * 1e6
        capacity = int((_whole(site) / "size").read_text("ascii")) * SECTOR
    except (OSError, LookupError, ValueError):
        yield unknown(_("how much is written to the card is not known"))
        return
    if running < SHORTEST:
        yield unknown(_("since the boot too little time has passed to tell how much is written to the card"))
        return
    a_day = written / running * DAY
    left = _left(disk, capacity)
    seconds = left / max(a_day, 1.0) * DAY
    text = _("{megabytes:.0f} MB a day are written; at this rate the card lasts {years}")
    years = _("more than 10 years") if seconds > 10 * YEAR else _("{years:.1f} years").format(years=seconds / YEAR)
    what = text.format(megabytes=a_day / 1e6, years=years)
    who = Command(("find", "/", "-xdev", "-type", "f", "-mmin", "-10", "-size", "+64k", "-ls"))
    if seconds < YEAR / 12:
        yield error(what, who, advice=_(COPY))
    elif seconds < YEAR:
        yield warning(what, who, advice=_("find out who writes so much"))
    else:
        yield fine(what)


def _left(disk: Disk, capacity: float) -> float:
    """Return how many bytes can still be written, by what the card says of its wear or, failing that, by what was."""
    budget = capacity * CYCLES / AMPLIFICATION
    try:
        used = float(disk.life_used() or 0) / 100
    except (OSError, LookupError, ValueError):
        try:
            return max(budget - float(disk.written_total() or 0) * 1e9, 0.0)
        except (OSError, LookupError, ValueError):
            return budget
    return budget * max(1.0 - used, 0.0)


def _disk(site: Site) -> Disk:
    return Disk(SystemFolder(site.path("/")), FOLDER)


def _whole(site: Site) -> Path:
    """Return the folder of the disk below /sys; raises LookupError or OSError."""
    for line in site.text("proc/self/mountinfo").splitlines():
        number, _inside, mount = line.split()[2:5]
        if mount == "/":
            part = site.path(f"sys/dev/block/{number}")
            return part.resolve().parent if (part / "partition").exists() else part
    raise LookupError("/")


CHECKS = (
    Check("card.wear", N_("a card that is worn out loses what is written to it"), wear),
    Check("card.errors", N_("a file system with errors may lose the journal with the next power cut"), errors),
    Check("card.log", N_("a card announces its end by errors"), kernel_log),
    Check("card.writable", N_("what cannot be sent cannot be kept either"), read_only),
    Check("card.space", N_("what waits for the network needs room"), space),
    Check("card.forecast", N_("a card bears only so many writes"), forecast),
)
ON_A_CARD = (next(one for one in CHECKS if one.name == "card.space"),)
