"""Packs what the workshop needs to know of a gateway into one file, and says what is in it and what is not.

Only what is named here is packed, and every text goes through the nets of agent/doctor/secrets.py. The same gateway at
the same moment gives the same bytes.
"""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple

from agent import VERSION
from agent.doctor import configured, secrets
from agent.doctor.site import CMDLINE_TXT, CONFIG_TXT
from agent.i18n import _
from agent.journal.inspect import look
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.doctor.finding import Finding
    from agent.doctor.secrets import Secrets
    from agent.doctor.site import Site

LINES = 5000  # of each log, the last ones
ENTRIES = 10_000  # of the ledger
COMPRESSION = 4  # of xz: takes 48 MB of memory, which a Pi Zero has
LOGS = (".log", ".txt")
SECOND = 1_000_000_000  # nanoseconds


class Member(NamedTuple):
    """One file of the package."""

    name: str
    about: str
    text: str


class Package(NamedTuple):
    """The whole, ready to be written."""

    data: bytes
    contents: list[str]  # lines that say what is in it and what is not


def pack(site: Site, found: Sequence[Finding], told: Iterable[str]) -> Package:
    """Return the package. `found` is what the doctor found, and `told` the same as it prints it."""
    hidden = secrets.gathered(site)
    missing: list[str] = []
    members = [
        Member(one.name, one.about, hidden.scrub(one.text)) for one in _members(site, found, list(told), missing)
    ]
    contents = list(_contents(members, hidden, missing))
    text = "\n".join(contents) + "\n"
    return Package(_archive([Member("CONTENTS.txt", "", text), *members], site.clock.utc() // SECOND), contents)


def _members(site: Site, found: Sequence[Finding], told: list[str], missing: list[str]) -> Iterator[Member]:
    yield Member("doctor.txt", _("what the doctor says"), "\n".join(told) + "\n")
    yield Member("doctor.json", _("the same for machines"), _json([one.document() for one in found]))
    yield Member("versions.txt", _("what is installed"), "\n".join(_versions(site)) + "\n")
    if site.status:
        yield Member("health.json", _("what the agent says of itself"), _json(dict(site.status)))
    else:
        missing.append(site.status_problem)
    yield from _configuration(site, missing)
    yield from _boot(site)
    for name, about, argv in _logs(site):
        try:
            done = site.run(argv)
        except OSError as error:
            missing.append(f"{name}: {error}")
            continue
        if done.status:
            missing.append(f"{name}: {done.errors.strip()}")
        else:
            yield Member(name, about, done.output)
    yield from _ledger(site, missing)


def _configuration(site: Site, missing: list[str]) -> Iterator[Member]:
    try:
        if site.config_file is None:
            raise OSError(2, site.config_problem)
        document = configured.passable(site.config_file)
    except (OSError, ValueError) as error:
        missing.append(f"configuration.json: {getattr(error, 'strerror', None) or type(error).__name__}")
        return
    about = _("the configuration without comments, {count} values left out").format(count=configured.count(document))
    yield Member("configuration.json", about, _json(document))


def _boot(site: Site) -> Iterator[Member]:
    """Yield the settings of the boot partition and the logs on it; what may hold passwords is not among them."""
    if site.boot is None:
        return
    logs = [path.name for path in sorted(site.boot.glob("roadside*")) if path.suffix in LOGS]
    for name in (CONFIG_TXT, CMDLINE_TXT, *logs):
        file = site.boot / name
        if file.is_file():
            yield Member(f"boot/{name}", _("from the boot partition"), file.read_text("utf-8", "replace"))


def _logs(site: Site) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    common = ("--no-pager", "--quiet", "--output=short-iso", f"--lines={LINES}")
    where = () if site.live else (f"--directory={site.root}/var/log/journal",)
    if site.root is not None:
        unit = "--unit=roadside.service"
        yield "roadside.log", _("the last events of the agent"), ("journalctl", *where, *common, unit)
        yield "kernel.log", _("the last events of the kernel"), ("journalctl", *where, *common, "--dmesg")


def _ledger(site: Site, missing: list[str]) -> Iterator[Member]:
    """Yield what was dropped, lost or withheld; readings themselves are not passed on."""
    try:
        card, young = site.journal()
        seen = look(young, card)
        entries = [
            json.dumps({"epoch": run.pack.epoch, "boot": run.pack.boot, **record}, ensure_ascii=False)
            for run in seen.runs(card)
            if run.pack.stream is Stream.LEDGER
            for record in run.records
        ]
    except OSError as error:
        missing.append(f"ledger.jsonl: {error}")
        return
    yield Member("ledger.jsonl", _("what did not go up as a reading, and why"), "\n".join([*entries[-ENTRIES:], ""]))


def _versions(site: Site) -> Iterator[str]:
    yield f"roadside {VERSION}"
    yield f"model {site.model}"
    for name in ("etc/os-release", "proc/version"):
        try:
            yield from site.text(name).splitlines()
        except OSError:
            continue
    for info in site.glob("opt/roadside/current/lib/**/*.dist-info"):
        yield info.name.removesuffix(".dist-info")


def _contents(members: Sequence[Member], hidden: Secrets, missing: Sequence[str]) -> Iterator[str]:
    yield _("In this package:")
    for one in members:
        yield f"  {one.name}: {one.about}"
    if missing:
        yield _("Not to be had:")
        yield from (f"  {hidden.scrub(one)}" for one in missing)
    yield _("Left out:")
    yield "  " + _("readings, and the comments of the configuration")
    yield from (f"  {name}" for name in hidden.files)
    yield "  " + _("and what stands in them wherever else it stood: {count} places").format(count=hidden.taken_out)
    if hidden.unread:
        yield _("Could not be read, so what stands in it was not looked for; pack again with sudo:")
        yield from (f"  {one}" for one in hidden.unread)


def _archive(members: Sequence[Member], seconds: int) -> bytes:
    """Return a tar.xz that depends on nothing but the members and the time."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for one in members:
            data = one.text.encode("utf-8", "replace")
            head = tarfile.TarInfo(f"support/{one.name}")
            head.size, head.mtime, head.mode = len(data), seconds, 0o644
            archive.addfile(head, io.BytesIO(data))
    return lzma.compress(plain.getvalue(), preset=COMPRESSION)


def _json(document: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
