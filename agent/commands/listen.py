"""`roadside listen`: shows what gateways publish, one line a reading; with --verify, proves that nothing is missing."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from agent.i18n import _
from agent.receiver import NotUnderstoodError, Received, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREACHABLE = 1
INCOMPLETE = 2


@click.command(help=_("Show what gateways publish, one line a reading, until Ctrl-C."))
@click.option("--broker", default="mqtt://127.0.0.1:1883", show_default=True, metavar="URL", help=_("The broker."))
@click.option("--gateway", default="+", metavar="ID", help=_("Only this gateway."))
@click.option("--prefix", default="", help=_("What the gateways put before their topics."))
@click.option("--verify", is_flag=True, help=_("At the end, say what is missing or doubled; exit status 2 if any."))
@click.option("--for", "seconds", type=float, metavar="SECONDS", help=_("End by itself."))
def command(broker: str, gateway: str, prefix: str, verify: bool, seconds: float | None) -> int:
    """Listen."""
    url = urlsplit(broker)
    if url.scheme != "mqtt" or not url.hostname:
        raise click.BadParameter(_("must be an address such as mqtt://127.0.0.1:1883"), param_hint="--broker")
    receiver = Receiver()
    topic = f"{prefix}/roadside/v1/{gateway}/#".removeprefix("/")
    try:
        asyncio.run(_listen(url.hostname, url.port or 1883, topic, receiver, seconds))
    except KeyboardInterrupt:
        pass
    except ConnectionError as error:
        click.echo(_("{broker}: {why}").format(broker=broker, why=error), err=True)
        return UNREACHABLE
    return _verdict(receiver) if verify else 0


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
    gateway, lane = topic.split("/")[-2:]
    if lane in {"status", "about", "health"}:
        yield f"{gateway} {lane} {_summary(lane, payload)}"
        return
    try:
        records = receiver.take(topic, payload)
    except NotUnderstoodError as error:
        yield _("{topic}: not understood: {why}").format(topic=topic, why=error)
        return
    for one in records:
        yield line(one)


def line(one: Received) -> str:
    """Return one record as a line."""
    series, fields = one.series, one.fields
    when = _("undated") if one.utc is None else _time(one.utc)
    value = next((fields[key] for key in ("v", "vb", "vs") if key in fields), "")
    shown = json.dumps(value) if isinstance(value, bool) else str(value)
    extra = {key: fields[key] for key in fields if key not in {"n", "u", "v", "vb", "vs", "t"}}
    rest = " ".join(f"{key}={value}" for key, value in extra.items())
    text = f"{when} {series.gateway}/{one.name} {shown} {fields.get('u', '')}".rstrip()
    return f"{text}  {rest + ' ' if rest else ''}[{one.lane} {one.number}]"


def _time(utc: float) -> str:
    return datetime.fromtimestamp(utc, UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")


def _summary(lane: str, payload: bytes) -> str:
    try:
        document = json.loads(payload)
    except ValueError:
        return _("is not JSON")
    if lane == "status":
        return f"{document.get('state')} {document.get('version', '')}"
    if lane == "health":
        states = [f"{name} {device.get('state')}" for name, device in document.get("devices", {}).items()]
        return ", ".join(states)
    return ", ".join(document.get("devices", {}))


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
