"""A card as it may be when the power goes, and whether the agent finds on it what it had promised."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from agent.host.disk import Folder
from agent.host.random import SystemRandom
from agent.journal.inspect import look, records_of
from agent.journal.opening import open_both
from agent.readings import Stream
from hil.vm.writes import Entry, kept, last_mark, write

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agent.readings import Sync

ROOM = 256 << 20  # bytes, of a journal with the settings that every gateway has
YOUNG = 16 << 20
REPAIRED = 3  # of e2fsck's exit statuses, the highest that leaves no error


class Clock(NamedTuple):
    """The clock of a boot after the power cut."""

    boot: str = "f" * 32

    def boottime(self) -> int:
        return 10_000_000_000

    def utc(self) -> int:
        return 1_795_346_000_000_000_000

    def synchronised(self) -> Sync | None:
        return None


def marked(bounds: Mapping[tuple[str, str], int]) -> str:
    """Return the text of a mark: by epoch and stream, below which number everything has been committed."""
    return json.dumps({"/".join(key): number for key, number in bounds.items()}, separators=(",", ":"))


def broken(empty: Path, entries: Sequence[Entry], until: int, chance: random.Random, work: Path) -> list[str]:
    """Return what is wrong if the power goes when so many writes are done with; `empty`: the card before them."""
    shutil.rmtree(work, ignore_errors=True)
    folder = work / "journal"
    folder.mkdir(parents=True)
    disk = work / "card.img"
    subprocess.run(["cp", "--sparse=always", empty, disk], check=True)
    with disk.open("r+b") as file:
        write(kept(entries, until, chance), file)
    repair = subprocess.run(["e2fsck", "-fy", disk], capture_output=True, text=True, check=False)
    if repair.returncode > REPAIRED:
        return [f"the file system cannot be repaired: {repair.stdout}"]
    subprocess.run(["debugfs", "-R", f"rdump / {folder}", disk], capture_output=True, check=True)
    promised: Mapping[str, int] = json.loads(last_mark(entries, until) or "{}")
    return [*_unread(folder, promised), *_opened(folder, work / "young", promised)]


def _unread(folder: Path, promised: Mapping[str, int]) -> list[str]:
    """Hold what lies there against what `roadside journal verify` looks at."""
    card = Folder(folder)
    found = look(None, card, thorough=True)
    faults = [f"{file.name} is damaged: {file}" for file in found.card if file.is_damaged]
    for name, number in promised.items():
        epoch, stream = name.split("/")
        key = epoch, Stream(stream)
        faults += [f"{name} {gap} had been committed" for gap in found.missing(key) if gap[0] < number]
        if found.last(key) < number - 1:
            faults.append(f"{name} ends with {found.last(key)}, and {number - 1} had been committed")
    records: dict[object, object] = {}
    for pack in found.packs(card):
        for number, record in enumerate(records_of(pack), pack.first):
            one = pack.epoch, pack.stream, number
            if records.setdefault(one, {**record, "t": None}) != {**record, "t": None}:
                faults.append(f"{one} is there twice, and differs")
    return faults


def _opened(folder: Path, young: Path, promised: Mapping[str, int]) -> list[str]:
    """Open the journal as the agent does after a power cut, and hold it against what it says is lost."""
    known = set(look(None, Folder(folder)).epochs)
    opened = open_both(Folder(young), Folder(folder), Clock(), SystemRandom(), ["city"], YOUNG, ROOM)
    faults = [f"{fault}: {message}" for fault, message in opened.faults.items()]
    if opened.state.epoch in known:
        faults.append(f"the epoch {opened.state.epoch} is used again")
    faults += [f"it says {entry}" for entry in opened.ledger if entry.kind != "lost"]
    lost = {f"{entry.epoch}/{entry.stream}": entry.first for entry in opened.ledger if entry.kind == "lost"}
    faults += [
        f"{name}: lost from {lost.get(name)} on, and all below {number} had been committed"
        for name, number in promised.items()
        if lost.get(name, 0) < number
    ]
    return faults
