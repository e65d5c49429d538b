"""The page of a campaign: each cut as a mark, against the window that is promised, and a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from tests.hil.vm.powercut.judge import COMMIT_INTERVAL, COMMIT_UNDER_WAY

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, TOP = 1000, 300, 50, 20  # units of the drawing
TALLEST = 18.0  # seconds
COLOURS = {"up": "#2a7", "cut": "#27a", "hung": "#a60"}
STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222 }
svg { width: 100%; background: #fafafa; border: 1px solid #ddd; border-radius: 4px }
svg text { font: 11px system-ui, sans-serif } table { border-collapse: collapse; font-size: 12px }
td, th { padding: .1em .8em .1em 0; text-align: right; font-variant-numeric: tabular-nums } .fault { color: #c22 }
"""
COLUMNS = (
    "number", "life", "link", "spoilt_after", "loaded_for", "commits", "promised", "frames", "lost_frames", "window",
    "lag", "presses", "lost_presses", "alarm_window", "booted_in",
)  # fmt: skip


def summary(cuts: Sequence[dict[str, Any]]) -> str:
    """Return in one line what a campaign came to."""
    faulty = sum(bool(cut["faults"]) for cut in cuts)
    counted = ("frames", "lost_frames", "presses", "lost_presses", "promised")
    total = {name: sum(cut[name] for cut in cuts) for name in counted}
    widest = max((cut["window"] for cut in cuts), default=0.0)
    return (
        f"{len(cuts)} cuts; of {total['frames']} frames {total['lost_frames']} were lost, none over {widest:.1f} s "
        f"before its cut; of {total['presses']} alarms {total['lost_presses']} were lost; {total['promised']} records "
        f"were promised; {faulty} cuts broke a promise"
    )


def page(cuts: Sequence[dict[str, Any]]) -> str:
    """Return the page."""
    head = "".join(f"<th>{name.replace('_', ' ')}" for name in COLUMNS)
    rows = "".join(_row(cut) for cut in cuts)
    keys = ", ".join(f'<span style="color:{colour}">{name}</span>' for name, colour in COLOURS.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Power cuts</title><style>{STYLE}</style>'
        f"<h1>Power cuts</h1><p>{escape(summary(cuts))}.<p>A gateway in a virtual machine hears a gauge five times a "
        "second and has its button pressed now and then; its power goes at a random moment. Each mark is a cut: how "
        "many seconds before it the oldest reading was made that never arrived. "
        f"The link to the broker was {keys} at that moment. Up to the dashed line ({COMMIT_INTERVAL:g} s) telemetry "
        "may be lost; the dotted line leaves "
        f"{COMMIT_UNDER_WAY:g} s for a commit under way, to which comes what the machine took to answer (lag). "
        f"Crosses are alarms that were lost.{_plot(cuts)}"
        f"<table><tr>{head}<th>faults{rows}</table></html>\n"
    )


def _plot(cuts: Sequence[dict[str, Any]]) -> str:
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}">']
    parts += [
        f'<text x="{LEFT - 8}" y="{_y(mark) + 4:.1f}" text-anchor="end">{mark} s</text>'
        for mark in range(0, int(TALLEST) + 1, 5)
    ]
    for seconds, dashes in ((COMMIT_INTERVAL, "6 4"), (COMMIT_INTERVAL + COMMIT_UNDER_WAY, "2 4"), (0.0, "none")):
        y = f"{_y(seconds):.1f}"
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y}" y2="{y}" stroke="#888" stroke-dasharray="{dashes}"></line>'
        )
    for cut in cuts:
        x = LEFT + (WIDTH - LEFT - 10) * cut["number"] / max(len(cuts), 1)
        colour = "#c22" if cut["faults"] else COLOURS[cut["link"]]
        told = escape(f"cut {cut['number']}: {cut['lost_frames']} frames lost. {' '.join(cut['faults'])}")
        parts.append(
            f'<circle cx="{x:.1f}" cy="{_y(cut["window"]):.1f}" r="3.5" fill="{colour}"><title>{told}</title></circle>'
        )
        if cut["lost_presses"]:
            parts.append(f'<text x="{x - 4:.1f}" y="{_y(cut["alarm_window"]) + 4:.1f}" fill="#c22">x</text>')
    return "".join(parts) + "</svg>"


def _y(seconds: float) -> float:
    return HEIGHT - TOP - (HEIGHT - 2 * TOP) * min(seconds, TALLEST) / TALLEST


def _row(cut: dict[str, Any]) -> str:
    cells = "".join(f"<td>{_shown(cut[name])}" for name in COLUMNS)
    return f"<tr>{cells}<td class=fault>{escape('; '.join(cut['faults']))}"


def _shown(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else escape(str(value))
