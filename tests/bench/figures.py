"""Figures: the median of several runs, what is to be reached, and a yardstick measured in the same run."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run found."""

    what: str
    value: float
    unit: str
    at_most: float = math.inf  # to be reached
    at_least: float = -math.inf
    yardstick: str = ""  # what else was measured in this run
    measure: float = math.nan  # of the yardstick, in the same unit


@dataclass(frozen=True, slots=True)
class Figure:
    """What several runs found."""

    what: str
    unit: str
    value: float  # median
    least: float
    most: float
    runs: int
    to_reach: str  # "" if nothing was asked
    reached: bool | None  # None if nothing was asked
    yardstick: str  # "" if there is none
    ratio: float | None  # median of the ratios of each run


def figures(runs: Iterable[Iterable[Measured]]) -> list[Figure]:
    """Return one figure for each thing that the runs measured."""
    by_what: dict[str, list[Measured]] = defaultdict(list)
    for run in runs:
        for measured in run:
            by_what[measured.what].append(measured)
    return [_figure(several) for several in by_what.values()]


def _figure(several: Sequence[Measured]) -> Figure:
    one = several[0]
    values = [measured.value for measured in several]
    value = median(values)
    to_reach = ""
    if one.at_most < math.inf:
        to_reach = f"at most {one.at_most:,g}"
    elif one.at_least > -math.inf:
        to_reach = f"at least {one.at_least:,.0f}"
    return Figure(
        what=one.what,
        unit=one.unit,
        value=value,
        least=min(values),
        most=max(values),
        runs=len(values),
        to_reach=to_reach,
        reached=one.at_least <= value <= one.at_most if to_reach else None,
        yardstick=one.yardstick,
        ratio=median([measured.value / measured.measure for measured in several]) if one.yardstick else None,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share (0 to 1) of them does not exceed."""
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]
