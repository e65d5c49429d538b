"""`roadside status`: asks the running agent how it is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from agent import VERSION
from agent.commands import root_option, wording
from agent.control import SOCKET, ControlError, ask
from agent.health import WELL
from agent.host.environment import environment
from agent.host.paths import Paths
from agent.i18n import _, pad, retold, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

NOT_ASKED = 1
TROUBLED = 2


@click.command(help=_("Ask the running agent how it is; exit status 2 if something is not as it should be."))
@root_option
@click.option("--json", "as_json", is_flag=True, help=_("Print everything, for machines."))
def command(root: Path, as_json: bool) -> int:
    """Ask for the status and print it."""
    try:
        document = asyncio.run(ask(Paths(root, environment()).runtime / SOCKET, {"do": "status"}))
    except ControlError as error:
        click.echo(str(error), err=True)
        return NOT_ASKED
    try:
        shown, found = [*lines(document)], troubles(document)
    except (LookupError, TypeError, AttributeError):
        if document.get("version") == VERSION:
            raise
        shown, found = [], [_other_version(document)]  # whose document is another
        click.echo(found[0], err=True)
    if as_json:
        shown = [json.dumps(document, ensure_ascii=False, indent=2)]
    for line in shown:
        click.echo(line)
    return TROUBLED if found else 0


def lines(document: dict[str, Any]) -> Iterator[str]:
    """Yield the status as lines that a person reads."""
    yield _("{gateway}, Roadside {version}, running for {time}").format(
        gateway=document["gateway"], version=document["version"], time=wording.duration(document["running_for"])
    )
    yield ""
    yield from table([_device(name, device) for name, device in document["devices"].items()])
    yield ""
    for name, uplink in document["uplinks"].items():
        waiting = sum(document["journal"]["waiting"].get(name, {}).values())
        text = _("{name}: {state}, {acked} messages acknowledged, {waiting} readings waiting")
        state = wording.word(uplink["state"]) + f" ({uplink['broker']})"
        yield text.format(name=name, state=state, acked=uplink["acked"], waiting=waiting)
    clock = document["clock"]
    if clock["synchronised"]:
        yield _("clock: synchronised by {source}").format(source=clock["source"])
    else:
        yield _("clock: not synchronised; readings are dated once it is")
    if document.get("configuration", {}).get("trial") == "on_trial":
        yield _("configuration: on trial; if it does not work, the one before it comes back")
    for trouble in troubles(document):
        yield _("trouble: {text}").format(text=trouble)


def troubles(document: dict[str, Any]) -> list[str]:
    """Return all that is not as it should be."""
    found = []
    for name, device in document["devices"].items():
        if device["state"] not in WELL:
            found.append(f"{name}: {wording.of_device(device)}")
        alarms = sorted(set(device.get("alarms", {}).values()) - {device["state"]})
        found += [_("{name}: alarm '{alarm}'").format(name=name, alarm=wording.word(alarm)) for alarm in alarms]
    found += [f"{name}: {wording.of_uplink(uplink)}" for name, uplink in document["uplinks"].items() if uplink["fault"]]
    for name, uplink in document["uplinks"].items():
        found += [f"{name}: {text}" for text in wording.of_papers(uplink)]
        if first := uplink.get("first"):
            found.append(f"{name}: {wording.of_first_broker(first)}")
    if fault := document["clock"].get("fault"):
        found.append(_("clock: {text}").format(text=wording.of_clock(fault)))
    for fault, message in document["journal"]["faults"].items():
        found.append(_("journal: {text}").format(text=wording.of_journal(fault, message)))
    failed = _("a part of the agent failed and was started anew: {part}; send the log to the workshop")
    found += [failed.format(part=part) for part in document.get("failures", ())]
    configuration = document.get("configuration", {})
    found += map(retold, configuration.get("problems", []))
    if configuration.get("trial") == "given_up":
        text = _("the configuration that was given last did not work, and the one before it is back: {why}")
        found.append(text.format(why=retold(configuration["why"])))
    if document["version"] != VERSION:
        found.append(_other_version(document))
    return found


def _other_version(document: dict[str, Any]) -> str:
    text = _("the agent that runs is of version {theirs}, this command of {ours}; restart the service")
    return text.format(theirs=document.get("version"), ours=VERSION)


def _device(name: str, device: dict[str, Any]) -> list[str]:
    values = []
    for quantity, value in device["values"].items():
        shown = wording.word(value["reason"]) if "reason" in value else _number(value["value"])
        values.append(f"{quantity} {shown} {wording.unit(value.get('unit', ''))}".rstrip())
    ago = min((value["ago"] for value in device["values"].values()), default=None)
    heard = "" if ago is None else _("{time} ago").format(time=wording.duration(ago))
    return [name, wording.word(device["state"]), heard, ", ".join(values)]


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Align the cells of rows by the width they have in a terminal."""
    if not rows:
        return
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(pad(cell, cells) for cell, cells in zip(row, widths, strict=True)).rstrip()
