"""`roadside doctor` beside the real agent: it asks the agent, and is in nobody's way."""

from __future__ import annotations

import asyncio
import json
import sys


async def examined(gateway):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "doctor", "--json", "--root", str(gateway.root)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    return {one["check"]: one for one in json.loads(printed)["findings"]}


async def test_it_passes_on_what_the_agent_says_and_the_agent_goes_on(gateway):
    await gateway.well("air-1", "level-1", "meter-1")
    found = await examined(gateway)
    assert found["agent.troubles"]["severity"] == "fine"
    assert found["clock.faults"]["severity"] == "fine"
    await gateway.go_on("air-1", "meter-1")
    await gateway.loses_nothing()
