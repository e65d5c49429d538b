"""A thousand gateways lose their broker together: how many attempts to connect a second, and how fast all are back.

Each gateway has the agent's own Backoff. `python -m tests.uplink.storm docs/storm.svg` draws it, the same each time.
"""

from __future__ import annotations

import heapq
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agent.backoff import OF_MANY, SHORTEST_CEILING, Backoff
from tests.uplink.outbox import Dice

GATEWAYS = 1000
AWAY = 600.0  # seconds for which nobody listens
STEADY = 3600.0  # seconds for which they had been connected
WIDTH, HEIGHT, SECONDS = 900, 260, 720


class Exactly(Dice):
    """No jitter: always the longest wait."""

    def uniform(self, low: float, high: float) -> float:
        return max(low, high)


@dataclass
class Storm:
    """What the broker sees, by the second since it went."""

    away: float
    attempts: Counter[int] = field(default_factory=Counter)
    connected: Counter[int] = field(default_factory=Counter)

    @property
    def peak(self) -> int:
        """Most attempts in a second, while it is away or after."""
        return max(self.attempts.values())

    @property
    def peak_back(self) -> int:
        """Most attempts in a second once it is back."""
        return max(count for second, count in self.attempts.items() if second >= self.away)

    @property
    def all_back_after(self) -> int:
        """Seconds from its return until everybody is connected."""
        return max(self.connected) + 1 - round(self.away)


def storm(
    *, jitter: bool = True, accepts: int = GATEWAYS, away: float = AWAY, seed: int = 1, alarms: bool = False
) -> Storm:
    """Let it happen to a broker that lets in so many a second; with `alarms` each gateway has one to bring."""
    chance = random.Random(seed)
    shortest = SHORTEST_CEILING if alarms else OF_MANY
    dice = [Dice(chance.getrandbits(32)) if jitter else Exactly() for _ in range(GATEWAYS)]
    backoffs = [Backoff(each, shortest=shortest) for each in dice]
    due = [(each.failed(STEADY), number) for number, each in enumerate(backoffs)]
    heapq.heapify(due)
    seen = Storm(away)
    while due:
        at, number = heapq.heappop(due)
        second = int(at)
        seen.attempts[second] += 1
        if at >= away and seen.connected[second] < accepts:
            seen.connected[second] += 1
        else:
            heapq.heappush(due, (at + backoffs[number].failed(), number))
    return seen


def picture() -> str:
    """Return both as SVG: attempts a second over time, cut off at the height of the picture."""
    most = 250
    lines = []
    for jitter, colour in ((False, "#d55e00"), (True, "#0072b2")):
        seen = storm(jitter=jitter)
        heights = [HEIGHT - 30 - min(most, seen.attempts[second]) * (HEIGHT - 60) / most for second in range(SECONDS)]
        points = " ".join(f"{40 + second * (WIDTH - 60) / SECONDS:.1f},{y:.1f}" for second, y in enumerate(heights))
        lines.append(f'<polyline fill="none" stroke="{colour}" points="{points}"/>')
    labels = [
        (40, 18, f"attempts a second of {GATEWAYS} gateways; blue: full jitter, orange: without (cut off at {most})"),
        *((40 + s * (WIDTH - 60) / SECONDS, HEIGHT - 10, f"{s} s") for s in range(0, SECONDS, 120)),
    ]
    texts = [f'<text x="{x:.0f}" y="{y}">{text}</text>' for x, y, text in labels]
    back = 40 + AWAY * (WIDTH - 60) / SECONDS
    mark = f'<path d="M{back:.0f} 30V{HEIGHT - 30}" stroke="#888" stroke-dasharray="4"/>'
    form = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {form}>'
    paper = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head, paper, *lines, mark, *texts, "</svg>", ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(), encoding="utf-8")
