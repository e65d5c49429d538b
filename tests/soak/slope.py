"""Whether something grows: a robust line through what was measured, and how far it climbs in a day."""

from __future__ import annotations

from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Point = tuple[float, float]


def theil_sen(points: Sequence[Point]) -> float:
    """Return the median of the slopes of all pairs of points (x, y): a fifth of wild values does not move it far.

    Raises ValueError unless two points differ in x.
    """
    slopes = [(y - y0) / (x - x0) for (x0, y0), (x, y) in combinations(points, 2) if x != x0]
    if not slopes:
        message = f"no slope through {len(points)} points: at least two must differ in x"
        raise ValueError(message)
    return median(slopes)


def growth(points: Sequence[Point], span: float) -> float:
    """Return how far the line through the points climbs over `span`, as a share of their median."""
    return theil_sen(points) * span / median(y for _, y in points)


def rises(values: Sequence[float]) -> dict[str, float]:
    """Return the medians of the first and the last quarter, and the most."""
    quarter = max(1, len(values) // 4)
    return {"first quarter": median(values[:quarter]), "last quarter": median(values[-quarter:]), "most": max(values)}
