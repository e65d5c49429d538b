"""What entries of the ledger say of numbers, said again in fewer: for when the entries themselves have to go."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING

from agent.journal.ranges import Ranges
from agent.readings import LedgerEntry, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.journal.pack import Pack

_Subject = tuple[str, str, str, str, str, bool]  # kind, why, stream, epoch, uplink, whether it counts its numbers


def restate(packs: Iterable[Pack], uplink: str, now: int) -> list[LedgerEntry]:
    """Return what the packs of the ledger among some say of numbers, those that follow each other as one.

    `uplink`: the only one that needs it; "" for all. Counts of what was withheld have no numbers, and go.
    """
    ranges: dict[_Subject, Ranges] = defaultdict(Ranges)
    lost: dict[_Subject, int] = {}  # from which number on
    for pack in packs:
        if pack.stream is not Stream.LEDGER:
            continue
        for entry in json.loads(b"[" + zlib.decompress(pack.body, -zlib.MAX_WBITS)):
            to = entry.get("uplink", uplink)
            if "epoch" not in entry or (uplink and to != uplink):
                continue
            subject = (entry["n"], entry["why"], entry["stream"], entry["epoch"], to, "count" in entry)
            if "last" in entry:
                ranges[subject].add(entry["first"], entry["last"])
            else:
                lost[subject] = min(entry["first"], lost.get(subject, entry["first"]))
    spans = [(subject, first, 0) for subject, first in lost.items()]
    spans += [(subject, *span) for subject, several in ranges.items() for span in several]
    return [_entry(subject, first, last, now) for subject, first, last in spans]


def _entry(subject: _Subject, first: int, last: int, now: int) -> LedgerEntry:
    kind, why, stream, epoch, uplink, counts = subject
    count = last - first + 1 if counts else 0
    return LedgerEntry(now, kind, why, count, stream=stream, epoch=epoch, first=first, last=last, uplink=uplink)
