"""Commands from the city to the real agent, over a real broker."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hil.operator import Operator
from tests.system.gateway import HERE, Gateway

GOOD = (HERE / "gateway.toml").read_text()
COMMANDED = {"uplinks.city.commands": "true", "uplinks.city.answers": "answers"}


@pytest.fixture
async def commanded(broker):
    async with Gateway(broker.url, settings=COMMANDED) as gateway:
        await gateway.until(lambda: "commands_open" in gateway.log())
        yield gateway


@pytest.fixture
async def operator(broker, commanded):
    async with Operator(broker.url, commanded.id) as operator:
        yield operator


async def switchable(gateway):
    siren = gateway.cabinet.devices["siren-1"]
    await asyncio.wait_for(gateway.cabinet.board.claims(siren.pin), 10)
    return siren


async def reconnected(gateway, times):
    await gateway.until(lambda: gateway.log().count("commands_open") >= times)


async def test_a_command_is_answered_where_it_asks_with_its_correlation_and_on_did(operator):
    payload = operator.request()
    await operator.send("ping", payload, response_topic="answers/me", correlation=b"\x00\xff42")
    await operator.answer(lambda one: one.topic == "answers/me")
    await operator.answer(lambda one: one.topic.endswith("/did"))
    assert len(operator.answers) == 2
    for answer in operator.answers:
        assert answer.correlation == b"\x00\xff42"
        assert not answer.retained
        assert answer.fields["outcome"] == "done"
        assert answer.fields["id"] == json.loads(payload)["id"]


async def test_a_gateway_answers_nowhere_but_where_it_may(operator, commanded):
    await operator.send("set", operator.request(device="siren-1", on=True), response_topic="roadside/v1/other/do/set")
    answer = await operator.answer(lambda one: one.topic.endswith("/did"))
    assert (answer["outcome"], answer["reason"]) == ("refused", "response_topic")
    assert not commanded.cabinet.devices["siren-1"].on


REFUSED = [
    ("fly", {}, "unknown_command"),
    ("set", {"device": "siren-1"}, "bad_argument"),
    ("set", {"device": "siren-1", "on": True, "for_": 181}, "bad_argument"),
    ("set", {"device": "siren-1", "on": False, "for_": 5}, "bad_argument"),
    ("set", {"device": "air-1", "on": True}, "not_possible"),
    ("set", {"device": "siren-9", "on": True}, "no_such_device"),
    ("set", {"device": "siren-1", "on": True, "loud": True}, "bad_argument"),
    ("set", {"device": "siren-1", "on": True, "expires_in": -1}, "expired"),
    ("set", {"device": "siren-1", "on": True, "expires_in": 3600}, "too_far_ahead"),
    ("acknowledge", {"alarm": "c0ffee", "by": "somchai"}, "no_such_alarm"),
]


async def test_what_cannot_be_done_is_refused_with_a_reason_and_nothing_is_done(operator, commanded):
    siren = await switchable(commanded)
    for command, fields, reason in REFUSED:
        answer = await operator.command(command, **fields)
        assert (answer["outcome"], answer["reason"]) == ("refused", reason), command
        assert answer["message"]
    await operator.send("set", b"{on")
    answer = await operator.answer(lambda one: one.fields["reason"] == "malformed", since=len(REFUSED))
    assert answer["id"] is None
    assert not siren.emitted


async def test_a_retained_command_is_nobodys(operator, commanded):
    siren = await switchable(commanded)
    await operator.send("set", operator.request(device="siren-1", on=True, for_=100), retain=True)
    await operator.answer(lambda one: one.fields["outcome"] == "done")  # to who listens already it is an ordinary one
    await operator.command("set", device="siren-1", on=False)
    await commanded.kill()
    changes = len(siren.emitted)
    await commanded.start()
    await reconnected(commanded, 2)
    assert (await operator.command("ping"))["outcome"] == "done"
    assert len(siren.emitted) == changes
    await operator.send("set", b"", retain=True)  # takes it off the broker


async def test_an_output_is_switched_and_goes_off_by_itself(operator, commanded):
    siren = await switchable(commanded)
    answer = await operator.command("set", device="siren-1", on=True, for_=0.5)
    assert answer["result"] == {"on": True, "for": 0.5}
    assert siren.emitted[0].value is True
    await commanded.until(lambda: not siren.on, 2.0)


async def test_a_command_delivered_twice_is_executed_once_also_after_a_kill(operator, commanded):
    siren = await switchable(commanded)
    payload = operator.request(device="siren-1", on=True, for_=0.3)
    first = await operator.repeat("set", payload)
    await commanded.until(lambda: not siren.on, 2.0)
    again = await operator.repeat("set", payload)
    assert "repeated" not in first
    assert (again["outcome"], again["repeated"]) == ("done", True)
    await commanded.kill()
    await commanded.start()
    await reconnected(commanded, 2)
    await switchable(commanded)
    again = await operator.repeat("set", payload)
    assert (again["outcome"], again["repeated"]) == ("done", True)
    assert [one.value for one in siren.emitted] == [True, False]
    other = await operator.repeat("set", payload.replace(b'"for": 0.3', b'"for": 0.4'))
    assert (other["outcome"], other["reason"]) == ("refused", "id_used")


async def test_while_the_clock_is_unknown_nothing_is_done(broker):
    gateway = Gateway(broker.url, settings=COMMANDED, synchronised=False)
    async with gateway, Operator(broker.url, gateway.id) as operator:
        await reconnected(gateway, 1)
        siren = await switchable(gateway)
        answer = await operator.command("set", device="siren-1", on=True)
        assert (answer["outcome"], answer["reason"]) == ("refused", "clock_unknown")
        assert not siren.emitted
        gateway.synchronise()
        await gateway.says(lambda said: said["clock"]["synchronised"])
        assert (await operator.command("set", device="siren-1", on=True))["outcome"] == "done"


async def test_read_asks_a_device_that_can_be_asked_and_tells_the_age_of_the_others(operator, commanded):
    await commanded.well("air-1", "meter-1")
    meter = await operator.command("read", device="meter-1")
    assert meter["result"]["values"]["voltage"]["ago"] < 1.0
    air = await operator.command("read", device="air-1")
    assert air["result"]["values"]["pm2_5"]["unit"]


async def test_an_alarm_is_acknowledged_under_its_id(operator, commanded):
    button = commanded.cabinet.devices["panic-1"]
    await asyncio.wait_for(commanded.cabinet.board.claims(button.pin), 10)
    button.press()
    alarms = commanded.city.alarms
    await commanded.until(lambda: len(alarms) == 1)
    answer = await operator.command("acknowledge", alarm=alarms[0].id, by="somchai")
    assert answer["result"] == {"device": "panic-1"}
    button.release()
    await commanded.until(lambda: len(alarms) == 3)
    assert len({one.id for one in alarms}) == 1
    assert [(one.raised, one.by) for one in alarms] == [(True, ""), (True, "somchai"), (False, "")]
    assert (await operator.command("acknowledge", alarm=alarms[0].id, by="somchai"))["reason"] == "no_such_alarm"


async def test_a_test_marks_what_is_said_drives_nothing_holds_across_a_restart_and_ends_by_itself(operator, commanded):
    button, siren = commanded.cabinet.devices["panic-1"], await switchable(commanded)
    alarms = commanded.city.alarms
    assert (await operator.command("test", device="panic-1", for_=6))["outcome"] == "done"
    await commanded.until(lambda: commanded.health and "panic-1" in commanded.health.get("test", {}))
    await commanded.kill()
    await commanded.start()
    await asyncio.wait_for(commanded.cabinet.board.claims(button.pin, siren.pin), 10)
    button.press()
    await commanded.until(lambda: alarms and alarms[0].test)
    assert not siren.on
    await commanded.until(lambda: len(alarms) == 3)  # the test is over, and the contact still closed: now in earnest
    await commanded.until(lambda: siren.on)
    assert [(one.raised, one.test) for one in alarms] == [(True, True), (False, True), (True, False)]
    assert alarms[0].id == alarms[1].id != alarms[2].id
    await commanded.until(lambda: commanded.health and "test" not in commanded.health)
    button.release()
    await commanded.until(lambda: not siren.on)


async def test_resend_goes_over_the_uplink_that_asks(operator, commanded):
    await commanded.well("air-1")
    await commanded.until(lambda: commanded.city.received)
    answer = await operator.command("resend", since=60)
    assert answer["result"]["readings"] > 0
    await commanded.until(lambda: commanded.city.doubles)


async def test_where_signatures_are_required_what_changes_something_needs_one_of_this_gateways_own(broker):
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    settings = COMMANDED | {"commands.require_signature": "true", "commands.keys.ops": public}
    gateway = Gateway(broker.url, settings=settings)
    async with gateway, Operator(broker.url, gateway.id) as operator:
        await reconnected(gateway, 1)
        siren = await switchable(gateway)
        assert (await operator.command("ping"))["outcome"] == "done"
        assert (await operator.command("set", device="siren-1", on=True))["reason"] == "not_signed"
        forged = Ed25519PrivateKey.generate()
        assert (await operator.command("set", sign=forged.sign, device="siren-1", on=True))["reason"] == "bad_signature"
        assert not siren.emitted
        assert (await operator.command("set", sign=key.sign, device="siren-1", on=True))["outcome"] == "done"
        assert siren.on


async def test_a_flood_of_commands_takes_its_turn_behind_an_alarm(operator, commanded):
    button = commanded.cabinet.devices["panic-1"]
    await asyncio.wait_for(commanded.cabinet.board.claims(button.pin), 10)
    for _ in range(300):
        await operator.send("ping", operator.request(), qos=0)
    button.press()
    at = time.monotonic()
    await commanded.until(lambda: commanded.city.alarms, 2.0)
    assert time.monotonic() - at < 1.0
    assert len(operator.answers) < 100
    button.release()


@pytest.fixture
def manager(short_folder):
    """Yield systemd's end of the notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(short_folder / "notify"))
        manager.setblocking(False)
        yield manager


def told(manager):
    """Return what the manager has been told since the last time."""
    lines = []
    with contextlib.suppress(BlockingIOError):
        while True:
            lines += manager.recv(4096).decode().splitlines()
    return lines


@asynccontextmanager
async def configured(broker, short_folder):
    """Yield a gateway whose configuration can be written, under a service manager."""
    path = short_folder / "gateway.toml"
    path.write_text(GOOD)
    gateway = Gateway(broker.url, settings=COMMANDED, config=path, start=False)
    async with gateway:
        await gateway.start(wrap=lambda _: ["env", f"NOTIFY_SOCKET={short_folder / 'notify'}"])
        await reconnected(gateway, 1)
        yield gateway, path


async def test_reload_takes_up_a_valid_configuration_and_answers_what_is_wrong_with_another(
    broker, short_folder, manager
):
    async with configured(broker, short_folder) as (gateway, path), Operator(broker.url, gateway.id) as operator:
        process = gateway.agent.pid
        path.write_text(GOOD.replace('driver = "siren"', 'driver = "sirene"'))
        answer = await operator.command("reload")
        assert (answer["outcome"], answer["reason"]) == ("refused", "invalid_configuration")
        assert "sirene" in answer["message"]
        path.write_text(GOOD.replace("[devices.siren-1]", "[devices.siren-2]"))
        told(manager)
        assert (await operator.command("reload"))["outcome"] == "done"
        await gateway.until(lambda: "siren-2" in gateway.city.said.get((gateway.id, "about"), {}).get("devices", ()))
        assert gateway.agent.running
        assert gateway.agent.pid == process
        await gateway.go_on("air-1", "level-1")
        said = told(manager)
        assert said.index("RELOADING=1") < said.index("READY=1")


async def test_a_hang_up_does_the_same_and_a_wrong_file_changes_nothing(broker, short_folder, manager):
    async with configured(broker, short_folder) as (gateway, path):
        path.write_text(GOOD.replace('driver = "siren"', 'driver = "sirene"'))
        told(manager)
        os.kill(gateway.agent.pid, signal.SIGHUP)
        await gateway.until(lambda: "configuration_invalid" in gateway.log())
        said = told(manager)
        assert said[0] == "RELOADING=1"
        assert said[1].startswith("MONOTONIC_USEC=")
        assert said[2] == "READY=1"
        assert "sirene" in said[3]
        await gateway.go_on("air-1")
        path.write_text(GOOD.replace("[devices.siren-1]", "[devices.siren-2]"))
        os.kill(gateway.agent.pid, signal.SIGHUP)
        await gateway.until(lambda: "siren-2" in gateway.city.said.get((gateway.id, "about"), {}).get("devices", ()))
        await gateway.go_on("air-1")


async def test_what_a_dead_agent_left_on_is_switched_off(operator, commanded):
    siren = await switchable(commanded)
    commanded.cabinet.board.persistent = True
    assert (await operator.command("set", device="siren-1", on=True))["outcome"] == "done"
    assert "process" in safe(commanded, status=75)
    assert siren.on
    await commanded.kill()
    assert siren.on
    assert await asyncio.to_thread(safe, commanded) == "siren-1: off (GPIO 22)\n"
    await commanded.until(lambda: not siren.on, 1.0)


def safe(gateway, status=0):
    """Run `roadside safe`; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "safe", "--root", str(gateway.root)],
        env={**os.environ, **gateway.cabinet.environment, "LANG": "C"},
        cwd=gateway.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


async def test_a_kill_between_beginning_and_end_is_told_when_the_broker_delivers_it_again(operator, commanded):
    """Without its pins the agent waits for a while before it gives up to switch the siren: long enough to be killed."""
    await commanded.stop()
    await commanded.start(wrap=lambda _: ["env", "RIG_PINS=/nowhere"])
    await reconnected(commanded, 2)
    await operator.send("set", operator.request(id_="between", device="siren-1", on=True))
    await commanded.until(lambda: "command_begun command=set id=between" in commanded.log())
    await commanded.kill()
    await commanded.start(wrap=lambda _: [])
    siren = await switchable(commanded)
    answer = await operator.answer(lambda one: one.fields["id"] == "between")
    assert (answer["outcome"], answer["reason"]) == ("unknown", "interrupted")
    assert not siren.on
