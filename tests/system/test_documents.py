"""`status`, `about`, `health` and `did` as the real agent sends them: the golden ones that the specification shows."""

import asyncio
import json
import os
import re
import sys

import pytest

from hil.operator import Operator
from tests.system.gateway import HERE, Gateway, device_is

GOLDEN = HERE.parent / "golden/documents"
WIRE = HERE.parents[1] / "docs/wire.md"
BOOT = "0b5e" * 8
NAMES = ["status", "about", "health", "did-done", "did-refused"]


def shape(value):
    """Return a document with the kinds of its values in their place."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def written(document, names):
    """Return a document as the specification shows it, with names in it that are of no test and of no machine."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    for name, shown in names.items():
        text = text.replace(name, shown)
    return text + "\n"


async def said_by_a_gateway(broker):
    """Run the real agent; return what it says on each topic, and what to show in place of names in it."""
    async with Gateway(broker.url, config=HERE / "documents.toml") as gateway:
        await gateway.well("level-1")
        await gateway.until(lambda: device_is("level-2", "missing")(gateway.health))
        await gateway.until(lambda: gateway.health["devices"]["level-1"]["alarms"] and "commands_open" in gateway.log())
        await gateway.until(lambda: gateway.health["utc"] is not None and gateway.health["uplinks"]["city"]["acked"])
        told = {name: gateway.city.said[gateway.id, name] for name in ("status", "about")}
        told["health"] = gateway.health
        async with Operator(broker.url, gateway.id) as operator:
            told["did-done"] = await operator.command("ping")
            told["did-refused"] = await operator.command("set", device="siren-9", on=True)
        broker_of_it = told["health"]["uplinks"]["city"]["broker"]
        return told, {gateway.id: "pkt-0042", told["health"]["boot"]: BOOT, broker_of_it: "broker.example:1883"}


async def test_the_golden_documents_are_what_the_agent_says_today(broker):
    """ROADSIDE_GOLDEN=1 writes them anew; then bring docs/wire.md up to date."""
    said, names = await said_by_a_gateway(broker)
    if os.environ.get("ROADSIDE_GOLDEN") == "1":
        for name, document in said.items():
            (GOLDEN / f"{name}.json").write_text(written(document, names), "utf-8")
    assert sorted(said) == sorted(NAMES) == sorted(path.stem for path in GOLDEN.glob("*"))
    for name, document in said.items():
        assert plain(shape(document)) == plain(shape(golden(name))), name


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


def plain(shaped):
    """Leave out the names that chance gives: the ids of the alarms."""
    return json.loads(re.sub(r'"[0-9a-f]{12,}":', '"id":', json.dumps(shaped, sort_keys=True)))


@pytest.mark.parametrize("name", NAMES)
def test_the_specification_shows_the_golden_document(name):
    blocks = re.findall(r"```json\n(.*?)```", WIRE.read_text("utf-8"), re.DOTALL)
    assert (GOLDEN / f"{name}.json").read_text("utf-8") in blocks


async def test_an_agent_in_a_thai_locale_speaks_english_to_the_city_and_its_asker_reads_thai(broker):
    locale = ("env", "LANG=th_TH.UTF-8", "LANGUAGE=th")
    async with Gateway(broker.url, config=HERE / "documents.toml", wrap=lambda _root: locale) as gateway:
        await gateway.until(lambda: gateway.health and device_is("level-2", "missing")(gateway.health))
        assert gateway.health["devices"]["level-2"]["trouble"]["detail"].isascii()
        status = subprocess_of("status", "--root", gateway.root)
        process = await asyncio.create_subprocess_exec(*locale, *status, stdout=asyncio.subprocess.PIPE)
        shown, _ = await process.communicate()
        [trouble] = [line for line in shown.decode().splitlines() if "level-2" in line and "/dev/ttyUSB9" in line]
        assert "plugged" not in trouble


def subprocess_of(*arguments):
    return [sys.executable, "-X", "utf8", "-m", "agent", *map(str, arguments)]
