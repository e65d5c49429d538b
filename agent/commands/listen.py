"""`roadside listen`: shows what gateways publish, one line a reading; with --verify, proves that nothing is missing."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from agent.commands.wording import unit
from agent.i18n import _
from agent.receiver import ROOT, NotUnderstoodError, Received, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREACHABLE = 1
INCOMPLETE = 2
SHOWN_FROM = 1.0  # seconds of uncertainty that are worth a word


@click.command(help=_("Show what gateways publish, one line a reading, until Ctrl-C."))
@click.option("--broker", default="mqtt://127.0.0.1:1883", show_default=True, metavar="URL", help=_("The broker."))
@click.option("--gateway", default="+", metavar="ID", help=_("Only this gateway."))
@click.option("--prefix", default="", help=_("What the gateways put before their topics."))
@click.option("--verify", is_flag=True, help=_("At the end, say what is missing or doubled; exit status 2 if any."))
@click.option("--for", "seconds", type=float, metavar="SECONDS", help=_("End by itself."))
def command(broker: str, gateway: str, prefix: str, verify: bool, seconds: float | None) -> int:
    """Listen."""
    host, port = _address(broker)
    receiver = Receiver()
    topic = f"{prefix}/roadside/v1/{gateway}/#".removeprefix("/")
    try:
        asyncio.run(_listen(host, port, topic, receiver, seconds))
    except KeyboardInterrupt:
        pass
    except ConnectionError as error:
        click.echo(_("{broker}: no connection to the broker: {why}").format(broker=broker, why=error), err=True)
        return UNREACHABLE
    return _verdict(receiver) if verify else 0


def _address(broker: str) -> tuple[str, int]:
    try:
        url = urlsplit(broker)
        if url.scheme == "mqtt" and url.hostname:
            return url.hostname, url.port or 1883
    except ValueError:  # a port that is no number
        pass
    raise click.BadParameter(_("must be an address such as mqtt://127.0.0.1:1883"), param_hint="--broker")


async def _listen(host: str, port: int, topic: str, receiver: Receiver, seconds: float | None) -> None:
    import aiomqtt

    client = aiomqtt.Client(host, port, protocol=aiomqtt.ProtocolVersion.V5, clean_start=True)
    try:
        async with asyncio.timeout(seconds), client:
            await client.subscribe(topic, qos=1)
            async for message in client.messages:
                for line in show(receiver, str(message.topic), bytes(message.payload)):
                    click.echo(line)
    except TimeoutError:
        return
    except aiomqtt.MqttError as error:
        raise ConnectionError(str(error)) from None


def show(receiver: Receiver, topic: str, payload: bytes) -> Iterator[str]:
    """Yield the lines that a message makes."""
    gateway, _slash, lane = topic.partition(ROOT)[2].partition("/")
    if lane.partition("/")[0] in {"status", "about", "health", "do", "did", "commissioning"}:
        yield _plain(f"{gateway} {lane} {_summary(lane, payload)}")
        return
    try:
        records = receiver.take(topic, payload)
    except NotUnderstoodError as error:
        yield _plain(_("{topic}: not understood: {why}").format(topic=topic, why=error))
        return
    for one in records:
        yield line(one)


def line(one: Received) -> str:
    """Return one record as a line."""
    series, fields = one.series, one.fields
    when = _("undated; again when it can be dated:") if one.utc is None else _time(one.utc)
    if one.uncertainty is not None and one.uncertainty >= SHOWN_FROM:
        when += f" ±{one.uncertainty:.0f} s"
    if one.was_undated:
        when += " " + _("(shown before, undated)")
    value = next((fields[key] for key in ("v", "vb", "vs") if key in fields), "")
    shown = json.dumps(value) if isinstance(value, bool) else str(value)
    extra = {key: fields[key] for key in fields if key not in {"n", "u", "v", "vb", "vs", "t"}}
    rest = " ".join(f"{key}={value}" for key, value in extra.items())
    text = f"{when} {series.gateway}/{one.name} {shown} {unit(str(fields.get('u', '')))}".rstrip()
    return _plain(f"{text}  {rest + ' ' if rest else ''}[{one.lane} {one.number}]")


def _time(utc: float) -> str:
    try:
        return datetime.fromtimestamp(utc, UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{utc} s"  # no year that a calendar has


def _plain(text: str) -> str:
    """Return a text that cannot break its line or reach the terminal raw, whatever a device or a gateway says."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _summary(lane: str, payload: bytes) -> str:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return _("is no JSON object")
    if lane == "status":
        return f"{document.get('state')} {document.get('version', '')}"
    if lane.startswith("do/"):
        return str(document.get("id"))
    if lane == "did":
        return " ".join(str(document[key]) for key in ("id", "command", "outcome", "reason") if key in document)
    if lane == "commissioning":
        return str(document.get("algorithm", "unsigned"))
    if lane == "health":
        return ", ".join(f"{name} {device.get('state')}" for name, device in _devices(document).items())
    return ", ".join(_devices(document))


def _devices(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    devices = document.get("devices")
    return {name: one for name, one in devices.items() if isinstance(one, dict)} if isinstance(devices, dict) else {}


def _verdict(receiver: Receiver) -> int:
    missing = 0
    for series, account in receiver.accounts.items():
        gaps = account.missing()
        missing += sum(last - first + 1 for first, last in gaps)
        text = _("{gateway} {stream} (epoch {epoch}): {received} received, {doubled} doubles dropped, missing: {gaps}")
        shown = ", ".join(f"{first}-{last}" for first, last in gaps) or _("none")
        click.echo(
            text.format(
                gateway=series.gateway,
                stream=series.stream,
                epoch=series.epoch,
                received=account.received.count(),
                doubled=account.doubled,
                gaps=shown,
            )
        )
    return INCOMPLETE if missing else 0
