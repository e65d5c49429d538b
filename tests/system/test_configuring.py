"""Configurations that are given to the real agent: one that works stays, one that does not comes to nothing."""

import asyncio
import base64
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hil.operator import Operator
from tests.system.gateway import HERE, Gateway

GOOD = (HERE / "gateway.toml").read_text("utf-8")
DEAF = """\
[gateway]
id = "pkt-0042"

[uplinks.city]
url = "mqtt://127.0.0.1:1883"

[devices.air-1]
driver = "plantower"
port = "/dev/nothing-is-here"
"""
LABELLED = GOOD.replace("[gateway]", '[gateway]\nlabel = { en = "By the bridge", th = "ข้างสะพาน" }', 1)
SOON = "0.05"  # minutes


async def configure(gateway, text, *more):
    path = gateway.root / "new.toml"
    path.write_text(text)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "configure", path, "--root", gateway.root, *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


def trial_is(state):
    return lambda said: said.get("configuration", {}).get("trial") == state


async def test_a_configuration_that_delivers_stays_and_the_next_start_has_it(broker):
    async with Gateway(broker.url) as gateway:
        await gateway.go_on("air-1")
        status, said = await configure(gateway, LABELLED, "--minutes", "1")
        assert (status, said) == (0, "It is being tried for 1 min; `roadside status` tells what becomes of it.\n")
        await gateway.tells(trial_is("confirmed"), log="configuration_confirmed")
        await gateway.kill()
        await gateway.start()
        await gateway.go_on("air-1")
        await gateway.says(trial_is("confirmed"))


async def test_a_configuration_that_samples_nothing_goes_by_itself(broker):
    async with Gateway(broker.url) as gateway:
        await gateway.go_on("air-1", "level-1")
        status, _said = await configure(gateway, DEAF, "--minutes", SOON)
        assert status == 0
        await gateway.says(lambda said: trial_is("given_up")(said) and "level-1" in said["devices"])
        await gateway.tells(trial_is("given_up"), log="configuration_given_up")
        why = gateway.health["configuration"]["why"]
        assert why == f"it has not sampled anything within {SOON} min"
        await gateway.go_on("air-1", "level-1")


async def test_an_agent_that_is_killed_in_the_midst_of_trials_has_the_one_before_in_the_end(broker):
    async with Gateway(broker.url) as gateway:
        await gateway.go_on("air-1")
        await configure(gateway, DEAF, "--minutes", "60")
        for _ in range(3):
            await gateway.says(lambda said: trial_is("on_trial")(said) and "level-1" not in said["devices"])
            await gateway.kill()
            (gateway.root / "run/roadside/control").unlink()
            await gateway.start()
        await gateway.tells(trial_is("given_up"), log="did not stay")
        await gateway.go_on("air-1")


async def test_one_that_is_wrong_is_refused_with_all_that_is_wrong(broker):
    async with Gateway(broker.url) as gateway:
        status, said = await configure(gateway, GOOD.replace('"plantower"', '"plantowr"'))
        assert status == 78
        assert "'plantowr' is not a driver" in said
        assert str(gateway.root / "new.toml") in said
        assert "configuration" not in await gateway.status()


async def test_the_city_configures_only_with_a_signature(broker):
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    settings = {
        "uplinks.city.commands": "true",
        "commands.require_signature": "true",
        "commands.keys.ops": public,
    }
    async with Gateway(broker.url, settings=settings) as gateway, Operator(broker.url, gateway.id) as operator:
        await gateway.until(lambda: "commands_open" in gateway.log())
        await gateway.go_on("air-1")
        assert (await operator.command("configure", toml=LABELLED))["reason"] == "not_signed"
        wrong = await operator.command("configure", sign=key.sign, toml="[gatway]\n")
        assert (wrong["outcome"], wrong["reason"]) == ("refused", "invalid_configuration")
        done = await operator.command("configure", sign=key.sign, toml=LABELLED, minutes=1)
        assert (done["outcome"], done["result"]) == ("done", {"minutes": 1.0})
        await gateway.tells(trial_is("confirmed"), log="configuration_confirmed")


async def test_where_commands_need_no_signature_the_city_configures_nothing(broker):
    settings = {"uplinks.city.commands": "true"}
    async with Gateway(broker.url, settings=settings) as gateway, Operator(broker.url, gateway.id) as operator:
        await gateway.until(lambda: "commands_open" in gateway.log())
        assert (await operator.command("configure", toml=LABELLED))["reason"] == "not_possible"
