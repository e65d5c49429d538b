"""What a start does not load: memory and start-up time are features."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

from tests.cli.roadside import ENVIRONMENT, WITHIN
from tests.hil.waiting import until

PLAIN = """
[gateway]
id = "g-1"
[uplinks.city]
url = "mqtt://127.0.0.1:1"
[devices.level-1]
driver = "a02yyuw"
port = "/dev/ttyUSB0"
"""
CODE = "import sys\ntry:\n  from agent.cli import main; main()\nfinally:\n  print(*sys.modules)"
# Of use for a configuration that was not seen before, for GPIO, for drivers of others, or for other commands.
NEEDLESS = {
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "tomllib",
    "agent.config.problems",
    "importlib.metadata",
    "gpiozero",
    "lgpio",
    "rich",
    "pynmeagps",
    "cryptography",
    "iotcore",
    "hil",
    "agent.commanding.commander",
    "agent.receiver",
}


async def modules_of_a_run(folder) -> set[str]:
    command = [sys.executable, "-c", CODE, "run", "--root", folder, "--config", folder / "gateway.toml"]
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(*command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=log)
    try:
        await until(lambda: "started" in (folder / "log").read_text(), WITHIN)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN):
            return set((await process.communicate())[0].decode().split())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_configuration_that_was_read_before_needs_neither_pydantic_nor_what_no_device_uses(tmp_path):
    (tmp_path / "gateway.toml").write_text(PLAIN)
    first = await modules_of_a_run(tmp_path)
    assert "pydantic" in first
    second = await modules_of_a_run(tmp_path)
    assert "agent.uplink.mqtt" in second
    assert second.isdisjoint(NEEDLESS), second & NEEDLESS
