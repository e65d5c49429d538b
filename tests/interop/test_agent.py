"""The whole agent, its devices on real ports, against the servers that cities have, over a restart of the server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import pytest

from hil.operator import Operator
from tests.interop.receiver import KeptCity
from tests.interop.servers import Aedes, Iotcore, Mosquitto, MosquittoWithPattern, Nats, RabbitMq, Server
from tests.interop.test_servers import named
from tests.system.gateway import Gateway
from tests.system.test_resend import resend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hil.devices.button import Button
    from hil.devices.siren import Siren
    from hil.packs import Alarm, Received

DEVICES = ("air-1", "level-1", "meter-1")
BEHIND = 30  # readings that wait, before the server comes back


@asynccontextmanager
async def on(server: Server, **settings: str) -> AsyncIterator[tuple[Gateway, KeptCity]]:
    """Start an agent, and the city behind a server."""
    protocol = server.protocols[0]
    configured = {"protocol": f'"{protocol}"', **settings}
    gateway = Gateway(
        server.url(protocol), settings={f"uplinks.city.{name}": value for name, value in configured.items()}
    )
    city = KeptCity(server)
    gateway.city = city
    async with gateway:
        yield gateway, city


def numbers(received: list[Received]) -> dict[tuple[str, str], list[int]]:
    """Return the numbers of each device on each topic, as they came."""
    found: dict[tuple[str, str], list[int]] = {}
    for one in received:
        found.setdefault((one.lane, one.device), []).append(one.number)
    return found


def pressed(city: KeptCity) -> list[Alarm]:
    """Return what came of the button."""
    return [one for one in city.alarms if (one.device, one.alarm) == ("panic-1", "pressed")]


@pytest.mark.parametrize(
    ("kind", "keeps"),
    [(MosquittoWithPattern, True), (Iotcore, False), (Nats, True), (RabbitMq, True), (Aedes, False)],
    ids=named,
)
async def test_readings_and_an_alarm_arrive_once_and_in_order_over_a_restart(
    serve: Callable[..., Server], kind: type[Server], *, keeps: bool
):
    """Where the server keeps no session, the receiver is let in before the gateway, and asks for what is missing."""
    server = serve(kind)
    async with on(server) as (gateway, city):
        button = cast("Button", gateway.cabinet.devices["panic-1"])
        await gateway.go_on(*DEVICES)
        await asyncio.to_thread(server.stop)
        await gateway.says(
            lambda said: said["uplinks"]["city"]["fault"] and said["uplinks"]["city"]["state"] != "online"
        )
        button.press()
        await gateway.says(lambda said: said["journal"]["waiting"]["city"]["telemetry"] >= BEHIND)
        if not keeps:
            await gateway.link.cut()
        await asyncio.to_thread(server.start)
        if not keeps:
            await city.there.wait()
            await gateway.link.restore()
        await gateway.until(lambda: pressed(city))
        button.release()
        await gateway.until(lambda: len(pressed(city)) > 1)
        await gateway.go_on(*DEVICES)
        in_order = numbers(city.received)
        assert any(lane == "history" for lane, _ in in_order)
        assert all(before < after for each in in_order.values() for before, after in pairwise(each)), in_order
        if not keeps:
            status, printed = await resend(gateway, "--uplink", "city")
            assert status == 0, printed
        await gateway.loses_nothing()
        assert [one.raised for one in pressed(city)] == [True, False], city.alarms
        assert len({one.id for one in pressed(city)}) == 1


@pytest.mark.parametrize("kind", [Mosquitto, Iotcore], ids=named)
async def test_commands_are_answered_and_one_that_comes_twice_is_executed_once(
    serve: Callable[..., Server], kind: type[Server]
):
    server = serve(kind)
    async with on(server, commands="true", answers="answers") as (gateway, _):
        siren = cast("Siren", gateway.cabinet.devices["siren-1"])
        await gateway.until(lambda: "commands_open" in gateway.log())
        async with Operator(server.url("5"), gateway.id) as operator:
            await operator.send("ping", operator.request(), response_topic="answers/me", correlation=b"\x00\xff42")
            await operator.answer(lambda one: one.topic == "answers/me" and one.correlation == b"\x00\xff42")
            await asyncio.wait_for(gateway.cabinet.board.claims(siren.pin), 60)
            payload = operator.request(device="siren-1", on=True, for_=0.3)
            for _ in range(2):
                assert (await operator.repeat("set", payload))["outcome"] == "done"
            await gateway.until(lambda: not siren.on)
        assert [one.value for one in siren.emitted] == [True, False]
        await gateway.loses_nothing()
