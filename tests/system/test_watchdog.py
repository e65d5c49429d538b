"""A device that holds up the whole agent: ended by the watchdog, found by its breadcrumb, set aside by the next run."""

import asyncio
import os
import signal
import subprocess
import sys
import time

from tests.system.gateway import HERE, Gateway

# Forty ones and no x: a regular expression that tries all ways to divide them does not come back.
PATTERN = r"(?P<pm1>(?:[0-9]+)+)x"
BUSY_FOR = 0.5  # seconds; a good line takes some microseconds
ENDLESS = b"\n" + b"1" * 40 + b"!\n"


def configuration(folder):
    path = folder / "gateway.toml"
    text = (HERE / "gateway.toml").read_text()
    path.write_text(text.replace('driver = "plantower"', f"driver = \"line\"\npattern = '{PATTERN}'"))
    return path


async def held_up(gateway):
    """Wait until the agent has been busy with the device for half a second on end."""
    crumb = gateway.root / "run/roadside/crumb"
    since = None

    def busy():
        nonlocal since
        if not crumb.read_bytes().startswith(b"air-1\0"):
            since = None
        elif since is None:
            since = time.monotonic()
        return since is not None and time.monotonic() - since > BUSY_FOR

    gateway.wire("air-1").write(ENDLESS)
    await gateway.until(busy)


async def ended_by(gateway, number, result):
    """End the agent with a signal, and do what systemd then does."""
    os.kill(gateway.agent.pid, number)
    await gateway.cabinet.agent_gone(await gateway.agent.kill())
    environment = {**os.environ, **gateway.cabinet.environment, "SERVICE_RESULT": result}
    safe = [sys.executable, "-m", "agent", "safe", "--root", str(gateway.root)]
    await asyncio.to_thread(subprocess.run, safe, env=environment, cwd=gateway.root, check=True)


async def test_a_device_that_held_up_the_agent_is_set_aside_and_the_others_go_on(broker, short_folder):
    async with Gateway(broker.url, config=configuration(short_folder)) as gateway:
        await gateway.go_on("level-1")
        await held_up(gateway)
        await ended_by(gateway, signal.SIGABRT, "watchdog")
        await gateway.start()
        await gateway.go_on("level-1")
        said = await gateway.status()
        assert said["devices"]["air-1"]["state"] == "quarantined"
        assert "10 min" in said["devices"]["air-1"]["trouble"]["detail"]
        assert "device_held_up_the_agent device=air-1" in gateway.log()
        gateway.wire("air-1").write(ENDLESS)
        await gateway.go_on("level-1")

        await gateway.stop()
        await gateway.start()
        assert (await gateway.status())["devices"]["air-1"]["state"] == "quarantined"


async def test_an_agent_that_is_killed_while_busy_with_a_device_suspects_none(broker, short_folder):
    async with Gateway(broker.url, config=configuration(short_folder)) as gateway:
        await gateway.go_on("level-1")
        await held_up(gateway)
        await ended_by(gateway, signal.SIGKILL, "signal")
        await gateway.start()
        await gateway.go_on("level-1")
        assert (await gateway.status())["devices"]["air-1"]["state"] != "quarantined"
