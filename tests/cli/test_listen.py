"""`roadside listen` as a process, against mosquitto and packs that the test publishes."""

import asyncio
import subprocess
from contextlib import asynccontextmanager

import aiomqtt
import pytest

from agent import senml
from agent.commands.listen import show
from agent.readings import AlarmEvent, Anchor, LedgerEntry, Reading, Stream
from agent.receiver import Receiver
from agent.timekeeper import Dated
from drivers.contract import Reason
from tests.brokers import free_port, mosquitto  # noqa: F401 - a fixture
from tests.cli.roadside import roadside, start
from tests.records import BOOT, GATEWAY, packed

SECOND = 1_000_000_000
BASE = 100 * SECOND
NOW = Dated(1_795_346_000 * SECOND, 0.1)
ROOT = f"roadside/v1/{GATEWAY}"


def reading(value, seconds=0, reason=None):
    return Reading("air-1", "pm2_5", BASE + seconds * SECOND, value, reason, unit="ug/m3")


def telemetry(first, *readings, dated=NOW):
    return senml.payload(packed(Stream.TELEMETRY, readings, first=first), GATEWAY, dated)


def shown(*messages):
    """Return the lines that messages, pairs of topic and payload, make."""
    receiver = Receiver()
    return [line for topic, payload in messages for line in show(receiver, f"{ROOT}/{topic}", payload)]


# --- lines ---------------------------------------------------------------------------------------------------------


def test_a_reading_is_a_line_with_time_name_value_unit_and_number():
    assert shown(("live", telemetry(7, reading(12.5), reading(None, 1, Reason.INVALID)))) == [
        "2026-11-22 11:13:20.000Z pkt-0042/air-1/pm2_5 12.5 µg/m³  [live 7]",
        "2026-11-22 11:13:21.000Z pkt-0042/air-1/pm2_5:state invalid  [live 8]",
    ]


def test_an_alarm_and_a_loss_say_what_they_are_about():
    alarm = AlarmEvent("level-1", "flood", BASE, "c0ffee", True, "water_level", 2.61)
    loss = LedgerEntry(BASE, "dropped", "card_full", 2, stream="telemetry", epoch="aa" * 8, first=3, last=4)

    lines = shown(
        ("alarms", senml.payload(packed(Stream.ALARM, [alarm]), GATEWAY, NOW)),
        ("ledger", senml.payload(packed(Stream.LEDGER, [loss]), GATEWAY, NOW)),
    )

    assert lines[0].endswith("level-1/water_level:alarm raise  alarm=flood id=c0ffee at_value=2.61 [alarms 1]")
    assert "dropped  why=card_full count=2 stream=telemetry" in lines[1]


def test_what_is_undated_says_so_and_that_it_comes_again_and_then_that_it_was_there():
    anchor = Anchor(BOOT, BASE, 1_795_346_000 * SECOND, 0.1, "kernel")

    first, *later = shown(
        ("live", telemetry(1, reading(12.5), dated=None)),
        ("anchors", senml.payload(packed(Stream.ANCHOR, [anchor]), GATEWAY, NOW)),
    )

    assert first == "undated; again when it can be dated: pkt-0042/air-1/pm2_5 12.5 µg/m³  [live 1]"
    assert later[1] == ("2026-11-22 11:13:20.000Z (shown before, undated) pkt-0042/air-1/pm2_5 12.5 µg/m³  [live 1]")


def test_a_time_that_is_hardly_known_is_shown_with_its_uncertainty():
    hours = Dated(1_795_346_000 * SECOND, 5400.0)

    [line] = shown(("history", telemetry(1, reading(12.5), dated=hours)))

    assert line == "2026-11-22 11:13:20.000Z ±5400 s pkt-0042/air-1/pm2_5 12.5 µg/m³  [history 1]"


@pytest.mark.parametrize(
    "payload", [b"\xff", b"[]", b"null", b"[" * 50_000, b'{"devices": [1]}', b'{"devices": {"a": 1}}']
)
@pytest.mark.parametrize("topic", ["live", "health", "about", "status"])
def test_what_is_no_message_of_a_gateway_is_one_line_too(topic, payload):
    assert len(shown((topic, payload))) == 1


def test_a_text_from_afar_cannot_break_the_line_or_steer_the_terminal():
    evil = Reading("sign-1", "message", BASE, "\x1b[2J\nฝนตก\x07\u202e")

    (line,) = shown(("live", telemetry(1, evil)))

    assert line.isprintable()
    assert "ฝนตก" in line


def test_a_time_that_no_calendar_has_is_shown_in_seconds():
    (line,) = shown(("live", telemetry(1, reading(1), dated=Dated(10**30, 0.1))))

    assert line.startswith("1e+21 s ")


# --- the command ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def listening(broker, *arguments):
    """Start the command and return it once it is subscribed: it shows the retained status then."""
    async with aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.publish(f"{ROOT}/status", b'{"state": "online", "version": "1"}', qos=1, retain=True)
        process = start("listen", "--broker", broker.url, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert await line_of(process) == "pkt-0042 status online 1"
            yield client, process
        finally:
            process.kill()
            process.communicate()


async def line_of(process):
    async with asyncio.timeout(20):
        return (await asyncio.to_thread(process.stdout.readline)).rstrip("\n")


async def ended(process):
    process.send_signal(2)
    output, errors = await asyncio.to_thread(process.communicate, timeout=20)
    assert errors == ""
    return output.splitlines(), process.returncode


async def test_it_shows_each_reading_as_it_comes_and_proves_that_nothing_is_missing(mosquitto):  # noqa: F811
    async with listening(mosquitto(), "--verify") as (client, process):
        for first in (1, 1, 3):  # the double comes before the lines that are waited for
            await client.publish(f"{ROOT}/live", telemetry(first, reading(first), reading(first + 1, 1)), qos=1)
        lines = [await line_of(process) for _ in range(4)]
        verdict, status = await ended(process)

    assert [line.rsplit("[", 1)[1] for line in lines] == ["live 1]", "live 2]", "live 3]", "live 4]"]
    assert "4 received, 2 doubles dropped, missing: none" in verdict[-1]
    assert status == 0


async def test_a_gap_is_named_and_is_the_exit_status(mosquitto):  # noqa: F811
    async with listening(mosquitto(), "--verify", "--gateway", GATEWAY) as (client, process):
        for number in (1, 2, 5):
            await client.publish(f"{ROOT}/live", telemetry(number, reading(number)), qos=1)
            await line_of(process)
        verdict, status = await ended(process)

    assert "missing: 3-4" in verdict[-1]
    assert status == 2


def test_a_broker_that_is_down_is_said_in_one_line():
    done = roadside("listen", "--broker", f"mqtt://127.0.0.1:{free_port()}")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "no connection to the broker: [Errno 111] Connection refused" in done.stderr


@pytest.mark.parametrize("url", ["localhost", "http://localhost", "mqtt://", "mqtt://localhost:x", "mqtt://[::1"])
def test_an_address_that_is_none_is_a_mistake_of_the_command_line(url):
    done = roadside("listen", "--broker", url)

    assert done.returncode == 2
    assert "must be an address such as mqtt://127.0.0.1:1883" in done.stderr
