"""What a short simulation about one thing is fitted with. Nothing of the agent is imported: bugs are planted first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Fit:
    """How long a simulation takes, what goes wrong in it and how often, and what is configured for it."""

    troubles: Mapping[str, int] = field(default_factory=dict)  # how often each kind happens (`troubles.KINDS`)
    first: str = ""  # a kind that takes long, and begins at once
    special: int | None = None  # like the seeds that leave so much when divided by 16 (`scenario.special`)
    seconds: float = 100.0  # until nothing goes wrong any more
    journal: Mapping[str, float] = field(default_factory=dict)  # what is configured of it; all else is drawn
    without: tuple[str, ...] = ()  # devices that there are not
    rests: float | None = None  # seconds between two runs; None: drawn, up to a minute
