"""The page for people: every test with its timeline, drawn to scale, in one file that needs nothing else."""

from __future__ import annotations

import math
from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 1000  # units of the drawing, of which the names of the lanes take LEFT
LEFT = 60
ROW = 15  # units; a line of text and its bar
LETTER = 5.6  # units that a letter of a label takes, about
CITY_COLOURS = {"alarms": "#c22", "live": "#2a7", "history": "#27a", "ledger": "#a60", "health": "#999"}
LOG_COLOURS = {"warning": "#a60", "error": "#c22"}

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222 }
summary { cursor: pointer; padding: .3em 0 } summary b { font-weight: 600 }
.passed summary::before { content: "✓ "; color: #2a7 } .failed summary::before { content: "✗ "; color: #c22 }
svg { width: 100%; background: #fafafa; border: 1px solid #ddd; border-radius: 4px }
svg text { font: 9.5px system-ui, sans-serif } .what { color: #666; font-size: 12px }
table { border-collapse: collapse; font-size: 12px } td { padding: 0 .8em 0 0; vertical-align: top }
td:first-child { text-align: right; font-variant-numeric: tabular-nums }
pre { overflow: auto; background: #fee; padding: 1em }
"""


def page(reports: Sequence[Any], rig: str) -> str:
    """Return the page of reports of pytest that carry `hil_timeline` and `hil_title`, those that failed first."""
    passed = sum(report.passed for report in reports)
    parts = [_section(report) for report in sorted(reports, key=lambda report: (report.passed, report.nodeid))]
    colours = ", ".join(f'<span style="color:{colour}">{name}</span>' for name, colour in CITY_COLOURS.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Scenarios on rig {escape(rig)}</title>'
        f"<style>{STYLE}</style><h1>Scenarios on rig {escape(rig)}: {passed} of {len(reports)} passed</h1>"
        "<p class=what>Time goes from left to right, in seconds since the rig was built. Bars are what the rig did; "
        f"ticks are lines of the agent's log and messages that came to the city ({colours}). Point at one to read it."
        f"</p>{''.join(parts)}</html>\n"
    )


def _section(report: Any) -> str:  # noqa: ANN401 - a report of pytest with attributes of our own
    events: list[dict[str, Any]] = report.hil_timeline
    rows = "".join(
        f"<tr><td>{event['start']:.2f}<td>{event['lane']}<td>{escape(event['text'])}"
        for event in events
        if event["lane"] != "city"
    )
    counted = Counter(_topic(event) for event in events if event["lane"] == "city")
    came = ", ".join(f"{count} {topic}" for topic, count in sorted(counted.items()))
    why = "" if report.passed else f"<pre>{escape(str(report.longrepr)[-6000:])}</pre>"
    title = report.hil_title[:1].upper() + report.hil_title[1:]
    return (
        f"<details class={report.outcome}{'' if report.passed else ' open'}><summary><b>{escape(title)}</b> "
        f"<span class=what>{report.duration:.1f} s, {escape(report.nodeid)}</span></summary>"
        f"{drawing(events)}{why}<details><summary class=what>all of it; the city received: {escape(came)}</summary>"
        f"<table>{rows}</table></details></details>\n"
    )


def drawing(events: Sequence[dict[str, Any]]) -> str:
    """Return the drawing of a timeline: events are of `hil.rigs.timeline.Event`, as plain values."""
    ends = max((max(event["start"], event["stop"]) for event in events), default=0.0) or 1.0
    scale = (WIDTH - LEFT - 10) / ends

    def x(seconds: float) -> float:
        return LEFT + seconds * scale

    bars, rows = _bars([event for event in events if event["lane"] == "rig"], x)
    agent, city = (rows + 1.6) * ROW, (rows + 3.2) * ROW
    height = city + 2.4 * ROW
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img"><text x="4" y="{ROW - 3}">rig</text>{bars}',
        f'<text x="4" y="{agent + 3:.0f}">agent</text><text x="4" y="{city + 3:.0f}">city</text>',
    ]
    for event in events:
        if event["lane"] == "agent":
            colour = next((colour for level, colour in LOG_COLOURS.items() if f" {level} " in event["text"]), "#555")
            parts.append(_tick(x(event["start"]), agent, colour, event["text"]))
        elif event["lane"] == "city":
            parts.append(_tick(x(event["start"]), city, CITY_COLOURS.get(_topic(event), "#bbb"), event["text"]))
    step = 10 ** math.floor(math.log10(ends))
    step = next(size for size in (step / 5, step / 2, step) if ends / size <= 12)
    for number in range(int(ends / step) + 1):
        at = x(number * step)
        parts.append(
            f'<path d="M{at:.1f} 0V{height - ROW:.0f}" stroke="#ddd" stroke-width=".5"/>'
            f'<text x="{at:.1f}" y="{height - 4:.0f}" text-anchor="middle" fill="#666">{number * step:g}</text>'
        )
    return "".join([*parts, "</svg>"])


def _bars(steps: Sequence[dict[str, Any]], x: Any) -> tuple[str, int]:  # noqa: ANN401 - of seconds to units
    """Return the bars of what the rig did, in as few rows as their labels need, and how many rows those are."""
    parts, ends = [], list[float]()
    for event in steps:
        start, stop = x(event["start"]), max(x(event["stop"]), x(event["start"]) + 2)
        label = event["text"]
        size = len(label) * LETTER
        left = min(start, WIDTH - size)
        row = next((number for number, end in enumerate(ends) if end < left), len(ends))
        ends[row : row + 1] = [max(stop, left + size)]
        y = row * ROW
        parts.append(
            f"<g><title>{escape(label)}: {event['start']:.2f} to {event['stop']:.2f} s</title>"
            f'<rect x="{start:.1f}" y="{y + 11}" width="{stop - start:.1f}" height="3" fill="#46c"/>'
            f'<text x="{left:.1f}" y="{y + 9}">{escape(label)}</text></g>'
        )
    return "".join(parts), max(len(ends), 1)


def _tick(x: float, y: float, colour: str, text: str) -> str:
    return f'<path d="M{x:.1f} {y - 6:.0f}v12" stroke="{colour}"><title>{escape(text)}</title></path>'


def _topic(event: dict[str, Any]) -> str:
    """Return the last part of the topic of a message on the timeline."""
    return str(event["text"]).partition(":")[0].rpartition("/")[2]
