"""What a demonstration looks like: a live table on a terminal, plain lines elsewhere, and the account at its end."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from hil.link import LinkState

if TYPE_CHECKING:
    from hil.audit import Account
    from hil.demo import Demo
    from hil.packs import Received

NO_BREAK = "\u00a0"  # a value stays with its unit, whatever the width of the terminal
LINK = {LinkState.UP: ("up", "green"), LinkState.CUT: ("cut", "bold red"), LinkState.HUNG: ("hung", "bold red")}


def picture(demo: Demo) -> Group:
    """Return the present state as something rich can draw."""
    scene = demo.scene
    table = Table(title="Roadside: a simulated cabinet", title_style="bold", expand=True, box=SIMPLE_HEAD)
    table.add_column("device", style="cyan", no_wrap=True)
    table.add_column("")
    table.add_column("state", no_wrap=True)
    table.add_column("as the city has it")
    table.add_column("ago", justify="right", no_wrap=True)
    labels = _labels(demo)
    devices = scene.said.get("devices", {})
    for name in demo.cabinet.devices:
        readings = _latest(demo, name)
        state = devices.get(name, {}).get("state", "?")
        alarms = sorted(set(devices.get(name, {}).get("alarms", {}).values()))
        shown = Text(state, "green" if state == "ok" else "yellow")
        if alarms:
            shown.append(NO_BREAK).append(", ".join(alarms), "bold red")
        ago = min((time.time() - (one.utc or one.arrived) for one in readings), default=None)
        table.add_row(
            name,
            labels.get(name, ""),
            shown,
            "  ".join(map(_value, readings)),
            "" if ago is None else f"{max(0.0, ago):.1f} s",
        )
    return Group(_line(demo), table)  # the line first: a small terminal cuts off the end


def _line(demo: Demo) -> Text:
    scene, city = demo.scene, demo.city
    word, style = LINK[scene.link]
    line = Text(f"{scene.elapsed:5.1f} s   link ").append(word, style)
    if not scene.said:
        line.append("   agent does not answer", "bold red")
    else:
        uplink = next(iter(scene.said["uplinks"].values()))
        waiting = sum(sum(streams.values()) for streams in scene.said["journal"]["waiting"].values())
        line.append(f"   journal {waiting} waiting   {uplink['published']} published   {uplink['acked']} acked")
    # What is lost for good only the ledger knows while the demo goes on; the account at the end trusts nobody.
    lost = sum(one.count for one in city.statements if one.kind != "withheld")
    line.append(f"   city {len(city.received)} readings   {city.doubles} doubled   {lost} lost")
    if scene.kills:
        line.append(f"   killed {scene.kills}x", "magenta")
    if scene.ending:
        line.append("   ending: waiting for what is on its way", "dim")
    return line


def plain(demo: Demo) -> str:
    """Return the present state as one line of text."""
    return _line(demo).plain


def _labels(demo: Demo) -> dict[str, str]:
    about = next((said for (_, topic), said in demo.city.said.items() if topic == "about"), {})
    return {
        name: f"{device['label']['en']}\n{device['label']['th']}"
        for name, device in about.get("devices", {}).items()
        if "label" in device
    }


def _latest(demo: Demo, device: str) -> list[Received]:
    return [one for (name, _), one in demo.city.latest.items() if name == device and ":" not in one.quantity]


def _value(one: Received) -> str:
    if one.value is None:
        return f"{one.quantity} {one.reason}"
    value = f"{one.value:.6g}" if isinstance(one.value, float) else str(one.value).lower()
    return f"{one.quantity} {value} {one.unit}".rstrip().replace(" ", NO_BREAK)


def summary(account: Account) -> Table:
    """Return the account, device by device and quantity by quantity."""
    table = Table(title="Where every measurement went", box=None, padding=(0, 1, 0, 0))
    table.add_column("measurement", style="cyan", no_wrap=True)
    columns = ("emitted", "received", "unheard", "withheld", "lost", "doubled", "misdated")
    for column in columns:
        table.add_column(column, justify="right")
    counts: dict[tuple[str, str], Counter[str]] = {}
    for column in ("received", "unheard", "withheld", "lost"):
        for emission in getattr(account, column):
            count = counts.setdefault((emission.device, emission.quantity), Counter())
            count[column] += 1
            count["emitted"] += 1
    for reading in account.doubled:
        counts.setdefault((reading.device, reading.quantity), Counter())["doubled"] += 1
    for wrong in account.misdated:
        count = counts.setdefault((wrong.reading.device, wrong.reading.quantity), Counter())
        count["misdated"] += 1
        count["emitted"] += wrong.emission is not None
    for (device, quantity), count in sorted(counts.items()):
        table.add_row(f"{device}/{quantity}", *(str(count[column]) for column in columns))
    return table
