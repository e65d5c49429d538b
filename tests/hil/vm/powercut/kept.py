"""What was seen of a cut, kept in a file: a cut can be judged anew when the judge has become better."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hil.packs import Alarm, Received, Statement
from tests.hil.vm.powercut.judge import Poll, Seen

if TYPE_CHECKING:
    from pathlib import Path


def keep(path: Path, seen: Seen) -> None:
    """Write a file, compressed JSON; what is there is replaced."""
    fields = asdict(seen)
    fields["numbers"] = [[*key, sorted(numbers)] for key, numbers in seen.numbers.items()]
    path.write_bytes(gzip.compress(json.dumps(fields).encode(), 6, mtime=0))


def kept(path: Path) -> Seen:
    """Return what a file holds."""
    fields: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return Seen(
        cut_at=fields["cut_at"],
        frames=[(millimetres, at) for millimetres, at in fields["frames"]],
        presses=fields["presses"],
        polls=[Poll(**one) for one in fields["polls"]],
        received=[Received(**one) for one in fields["received"]],
        alarms=[Alarm(**one) for one in fields["alarms"]],
        statements=[Statement(**one) for one in fields["statements"]],
        numbers={(epoch, stream): frozenset(numbers) for epoch, stream, numbers in fields["numbers"]},
    )
