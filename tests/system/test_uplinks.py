"""Two brokers of one city, and a partner beside the city: the real agent, and a real mosquitto for each."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from agent.receiver import PACKED, Receiver
from hil.audit import Account, audit
from hil.city import City
from tests.system.gateway import Gateway, uplink_has

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.brokers import MosquittoFactory


@pytest.fixture
def other(mosquitto: MosquittoFactory):
    return mosquitto()


def on(address: str):
    """Return whether the city's uplink is online at a broker."""
    return lambda said: said["uplinks"]["city"]["broker"] == address and said["uplinks"]["city"]["state"] == "online"


async def test_the_second_broker_takes_over_and_gives_back_and_both_together_have_everything(broker, other):
    settings = {
        "uplinks.city.backup_url": other.url,
        "uplinks.city.failover_after": "2 s",
        "uplinks.city.failback_after": "3 s",
    }
    async with Gateway(broker.url, settings=settings) as gateway, City(other.url) as backup:
        first, second = gateway.link.url.removeprefix("mqtt://"), other.url.removeprefix("mqtt://")
        await gateway.go_on("air-1", "level-1")
        await gateway.link.cut()
        said = await gateway.says(on(second))
        assert said["uplinks"]["city"]["first"]["broker"] == first
        assert any("backup broker" in line for line in await trouble_lines(gateway))
        await gateway.until(lambda: len(backup.received) > 30)
        for _ in range(3):  # it flaps
            await gateway.link.restore()
            await asyncio.sleep(0.7)
            await gateway.link.cut()
        assert on(second)(await gateway.says(bool))
        await gateway.link.restore()
        await gateway.says(on(first))
        await gateway.until(lambda: backup.said.get((gateway.id, "status"), {}).get("state") == "moved")
        await gateway.go_on("air-1", "level-1")
        assert gateway.log().count("broker_changed") == 2

        await gateway.cabinet.quiet()
        await gateway.until(lambda: not gateway.cabinet.unread)
        await gateway.says(lambda said: not any(said["journal"]["waiting"]["city"].values()))
        await gateway.stop()
        assert not backup.faults

        def account() -> Account:
            both = {one.identity: one for city in (gateway.city, backup) for one in city.received}
            statements = {one.identity: one for city in (gateway.city, backup) for one in city.statements}
            return audit(
                gateway.cabinet.emissions,
                [one for one in both.values() if one.gateway == gateway.id],
                deaf=gateway.cabinet.deaf,
                cuts=gateway.cabinet.cuts,
                statements=[one for one in statements.values() if one.gateway == gateway.id],
            )

        with suppress(AssertionError):
            await gateway.until(lambda: account().clean, 5.0)
        found = account()
        assert found.clean, f"{found}\n{found.lost}\n{found.doubled}\n{found.misdated}"
        assert found.received


async def trouble_lines(gateway: Gateway) -> list[str]:
    """Return what `roadside status` prints."""
    from agent.commands.status import lines

    return list(lines(await gateway.says(bool)))


@asynccontextmanager
async def partner(url: str) -> AsyncIterator[Receiver]:
    """Receive as a partner does: by the specification alone."""
    receiver = Receiver()

    async def receive() -> None:
        port = int(url.rpartition(":")[2])
        async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe("agency/#", qos=1)
            subscribed.set()
            async for message in client.messages:
                topic = str(message.topic)
                everything.append(message.payload)
                assert b"level-1" not in message.payload
                if topic.rpartition("/")[2] in PACKED:
                    receiver.take(topic, message.payload)

    everything: list[bytes] = []
    subscribed = asyncio.Event()
    task = asyncio.create_task(receive())
    try:
        await subscribed.wait()
        yield receiver
        assert not task.done()
        assert any(b'"devices":{"air-1"' in payload for payload in everything)
        assert not any(b"meter-1" in payload or b"city" in payload for payload in everything)
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_partner_gets_its_part_under_its_own_topics_and_proves_it_while_the_city_gets_all(broker, other):
    settings = {
        "uplinks.partner.url": other.url,
        "uplinks.partner.client_id": "pkt-partner",
        "uplinks.partner.prefix": "agency",
        "uplinks.partner.compression": "none",
        "uplinks.partner.devices": '["air-1"]',
        "uplinks.partner.quantities": '["pm2_5"]',
    }
    async with Gateway(broker.url, settings=settings, start=False) as gateway, partner(other.url) as receiver:
        await gateway.start()
        await gateway.go_on("air-1", "level-1", "meter-1")
        other.freeze()
        await gateway.says(lambda said: said["uplinks"]["partner"]["fault"] in {"unacked", "timed_out"})
        await gateway.go_on("air-1", "level-1", "meter-1")
        other.thaw()
        await gateway.says(uplink_has("partner", None))
        await gateway.go_on("air-1")
        await gateway.says(lambda said: not any(said["journal"]["waiting"]["partner"].values()))
        names = {series.stream for series in receiver.accounts}
        assert "telemetry" in names
        (account,) = [account for series, account in receiver.accounts.items() if series.stream == "telemetry"]
        assert account.missing() == []
        assert account.left_out.count() > account.received.count() > 0
        await gateway.loses_nothing()
