"""What a process takes of the machine, from the kernel's own books."""

from __future__ import annotations

import os
from typing import NamedTuple

from tests.system.troubles import field


class Footprint(NamedTuple):
    """What a process takes now; memory in bytes."""

    rss: int  # resident, what it shares with others included
    pss: int  # of what is shared, its part
    anonymous: int  # what it has made itself; files and their copies, which come and go with others' use, are not in it
    descriptors: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Look at a process of our own."""
    kib = {name: int(field(pid, name, "smaps_rollup").split()[0]) for name in ("Rss", "Pss", "Anonymous")}
    return Footprint(
        rss=kib["Rss"] * 1024,
        pss=kib["Pss"] * 1024,
        anonymous=kib["Anonymous"] * 1024,
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=int(field(pid, "Threads")),
    )
