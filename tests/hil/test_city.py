"""What the city makes of packs, and the way there through each broker."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import zlib
from importlib.util import find_spec
from textwrap import dedent

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hil.broker import LOOPBACK, Broker, Engine
from hil.city import City
from hil.link import Link
from hil.packs import Alarm, Anchor, Received, Statement, WireError, unpack
from tests.hil.waiting import until

V5 = aiomqtt.ProtocolVersion.V5
BOOT = "0123456789abcdef0123456789abcdef"
HEAD = {
    "bn": "pkt-0042/", "bt": 1795346000.123, "uncertainty": 0.1, "n": "pack", "v": 7, "last": 10,
    "stream": "telemetry", "epoch": "00000000deadbeef", "boot": BOOT, "boottime": 123.456,
}  # fmt: skip
RECORDS = [
    {"n": "air-1/pm2_5", "u": "ug/m3", "v": 8, "t": 1.25},
    {"n": "panic-1/pressed", "vb": False, "t": 2},
    {"n": "level-1/water_level:state", "vs": "no_echo", "t": 2.5},
    {"n": "air-1/pm10:max", "u": "ug/m3", "v": 11.5, "t": 3},
]


# iotcore has no wheel on some machines, and is an extra; mosquitto has to be there.
ENGINES = [
    pytest.param(Engine.IOTCORE, marks=pytest.mark.skipif(find_spec("iotcore") is None, reason="no iotcore here")),
    Engine.MOSQUITTO,
]


def pack(records: list[dict] = RECORDS, **head: object) -> bytes:
    fields = {**HEAD, "last": HEAD["v"] + len(records) - 1, **head}
    return json.dumps([{key: it for key, it in fields.items() if it is not None}, *records]).encode()


def read(payload: bytes) -> list:
    return unpack("pkt-0042", "live", payload, arrived=1.0)


@pytest.mark.parametrize("payload", [pack(), zlib.compress(pack())], ids=["plain", "deflated"])
def test_the_kth_record_has_the_number_first_plus_k_and_its_own_time(payload):
    records = read(payload)
    assert [record.number for record in records] == [7, 8, 9, 10]
    assert [record.value for record in records] == [8, False, None, 11.5]
    assert [record.quantity for record in records] == ["pm2_5", "pressed", "water_level", "pm10:max"]
    assert records[2].reason == "no_echo"
    assert records[0].utc == pytest.approx(1795346001.373)
    assert records[0].boottime == pytest.approx(124.706)
    assert records[0].identity == ("pkt-0042", "00000000deadbeef", "telemetry", 7)


def test_alarms_anchors_and_statements_are_read():
    alarm, whole, anchor, statement = read(
        pack(
            [
                {"n": "level-1/water_level:alarm", "vs": "raise", "alarm": "flood", "id": "ab" * 8, "t": 0},
                {"n": "level-1:alarm", "vs": "clear", "alarm": "silent", "id": "cd" * 8, "t": 1},
                {"n": "anchor", "boot": BOOT, "at": 100.5, "utc": 5e8, "uncertainty": 0.1, "source": "kernel", "t": 2},
                {"n": "withheld", "device": "air-1", "quantity": "pm2_5", "why": "warming_up", "count": 12,
                 "since": 0.5, "until": 9.5, "t": 10},
            ]
        )
    )  # fmt: skip
    assert isinstance(alarm, Alarm)
    assert (alarm.device, alarm.quantity, alarm.alarm, alarm.raised) == ("level-1", "water_level", "flood", True)
    assert (whole.device, whole.quantity, whole.raised) == ("level-1", "", False)
    assert isinstance(anchor, Anchor)
    assert (anchor.of_boot, anchor.at, anchor.true_utc) == (BOOT, 100.5, 5e8)
    assert isinstance(statement, Statement)
    assert statement.span == pytest.approx((1795346000.623, 1795346009.623))


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"", "neither JSON"),
        (b"[]", "not an array of objects"),
        (zlib.compress(pack())[:-3], "not one whole zlib stream"),
        (zlib.compress(pack()) + b"?", "not one whole zlib stream"),
        (pack(last=11), "7, 11.*, and 4 records"),
        (pack(bn="other/"), "no head of a pack of pkt-0042"),
        (pack(bt=None), "does not say that it is undated"),
        (pack(epoch=None), "lacks 'epoch'"),
        (pack([{"n": "air-1/pm10", "t": 0}]), "has no value"),
    ],
)
def test_what_does_not_follow_the_specification_is_refused(payload, complaint):
    with pytest.raises(WireError, match=complaint):
        read(payload)


@pytest.fixture(params=ENGINES)
async def broker(request):
    async with Broker(request.param) as broker:
        yield broker


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def gateway(port: int) -> aiomqtt.Client:
    return aiomqtt.Client(LOOPBACK, port, protocol=V5)


async def arrives(city: City, condition) -> None:
    async with asyncio.timeout(5):
        await city.until(condition)


async def test_a_pack_goes_through_link_and_broker_to_the_city(broker):
    async with City(broker.url) as city, Link(broker.port) as link, gateway(link.port) as client:
        await client.publish("roadside/v1/pkt-0042/live", zlib.compress(pack()), qos=1)
        await client.publish("roadside/v1/pkt-0042/history", pack(), qos=1)
        await client.publish("roadside/v1/pkt-0042/live", b"nonsense", qos=1)
        await client.publish("roadside/v1/pkt-0042/status", b'{"state":"online"}', qos=1, retain=True)
        await arrives(city, lambda: city.messages == 4)
    assert [reading.number for reading in city.received] == [7, 8, 9, 10]
    assert city.doubles == 4
    assert len(city.faults) == 1
    assert city.said["pkt-0042", "status"] == {"state": "online"}
    assert city.latest["air-1", "pm2_5"].value == 8


async def test_an_undated_pack_is_dated_by_the_anchor_that_follows_it(broker):
    anchor = {"n": "anchor", "boot": BOOT, "at": 1123.456, "utc": 1795347000.0, "uncertainty": 0.1, "source": "kernel"}
    async with City(broker.url) as city, gateway(broker.port) as client:
        undated = pack(bt=None, uncertainty=None, undated_=True)
        await client.publish("roadside/v1/pkt-0042/live", undated, qos=1)
        await arrives(city, lambda: city.received)
        assert city.received[0].utc is None
        await client.publish("roadside/v1/pkt-0042/anchors", pack([anchor | {"t": 0}], stream="anchor"), qos=1)
        await arrives(city, lambda: city.anchors)
    first = city.received[0]
    assert isinstance(first, Received)
    assert first.utc == pytest.approx(1795346001.25)
    assert first.uncertainty == pytest.approx(0.1 + 998.75 * 100e-6)


async def test_the_broker_keeps_properties_and_takes_large_payloads_(broker):
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "application/senml+json"
    properties.UserProperty = [("encoding", "deflate")]
    async with gateway(broker.port) as listener:
        await listener.subscribe("#", qos=1)
        async with gateway(broker.port) as client:
            await client.publish("a", b"x" * 1_048_576, qos=1, properties=properties)
        message = await anext(listener.messages)
    assert len(message.payload) == 1_048_576
    assert message.properties.ContentType == "application/senml+json"
    assert message.properties.UserProperty == [("encoding", "deflate")]


async def test_a_broker_is_at_the_same_port_after_a_stop(broker):
    await broker.stop()
    with pytest.raises(aiomqtt.MqttError):
        await gateway(broker.port).__aenter__()
    await broker.start()
    async with gateway(broker.port):
        pass


async def test_the_city_subscribes_again_when_the_broker_comes_back(broker):
    async with City(broker.url) as city:
        await broker.stop()
        await broker.start()
        async with gateway(broker.port) as client, asyncio.timeout(10):
            while not city.received:
                await client.publish("roadside/v1/pkt-0042/live", pack(), qos=1)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await city.until(lambda: city.received)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_broker_does_not_outlive_us(tmp_path, engine):
    script = dedent(f"""
        import asyncio, sys
        from hil.broker import Broker, Engine
        async def main():
            async with Broker(Engine("{engine}")) as broker:
                print(broker.port, flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # nobody will be there to tidy up
    )
    port = int(await process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    await until(lambda: not listening(port))


def test_records_have_the_numbers_that_the_head_gives_where_some_are_left_out():
    records = [{"n": "air-1/pm1", "v": number, "t": 0} for number in range(3)]

    assert [one.number for one in read(pack(records, v=7, last=99, numbers=[[9, 9], [20, 21]]))] == [9, 20, 21]


@pytest.mark.parametrize(("entry", "concerns"), [("", True), ("city", True), ("partner", False)])
def test_what_was_given_up_for_another_uplink_does_not_concern_us(entry, concerns):
    record = {"n": "dropped", "why": "quota", "stream": "telemetry", "epoch": "e", "first": 1, "last": 2, "t": 0}
    record |= {"uplink": entry} if entry else {}

    (statement,) = read(pack([record], v=1, last=1, uplink="city"))

    assert statement.concerns_us == concerns
