"""What this run of the agent has shown that it can do, for whoever has to decide whether a new release stays.

It is written to tmpfs beside the young end of the journal; systemd/roadside-switch reads it, and believes nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.seams import Disk

NAME = "proof.json"


@dataclass(frozen=True, slots=True)
class Proof:
    """Since this start: everything begins as false, and only `online` becomes so again."""

    release: str  # the folder that this Python lives in
    sampled: bool = False  # a device has given a reading
    stored: bool = False  # the card has taken a commit
    delivered: bool = False  # a broker has taken telemetry of this run
    online: bool = False  # a broker is connected


def write(disk: Disk, proof: Proof) -> None:
    """Write it down; raises OSError."""
    disk.replace(NAME, json.dumps(asdict(proof)).encode())
