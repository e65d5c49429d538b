"""`roadside probe` borrows the ports of the running agent, which has them back whatever becomes of the borrower."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager

from tests.system.gateway import Gateway, device_is
from tests.system.test_relays import CONFIG, PLAN

WITHIN = 60  # seconds


async def probing(gateway, *arguments):
    """Start to probe."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "probe", "--root", str(gateway.root), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def borrowing(gateway, port):
    """Ask the agent for a port, yield its answer, and hang up."""
    reader, writer = await asyncio.open_unix_connection(gateway.root / "run/roadside/control")
    try:
        writer.write(json.dumps({"do": "borrow", "port": port}).encode() + b"\n")
        yield json.loads(await reader.readline())
    finally:
        writer.close()


async def test_ports_of_the_agent_are_borrowed_and_given_back(gateway):
    await gateway.well("air-1", "level-1")
    process = await probing(gateway, "/dev/ttyAMA0")
    await gateway.tells(device_is("air-1", "taken"), log="device_unreadable device=air-1 why=taken")
    await gateway.go_on("level-1")
    async with asyncio.timeout(WITHIN):
        printed, complaints = await process.communicate()
    assert (process.returncode, complaints) == (0, b"")
    assert "# configured there: air-1 (plantower)" in printed.decode()
    assert "[devices.plantower-1]" in printed.decode()
    await gateway.tells(device_is("air-1", "ok"), log="device_readable device=air-1 was=taken")
    await gateway.go_on("air-1")


async def test_a_port_comes_back_when_the_borrower_is_killed(gateway):
    await gateway.well("meter-1")
    process = await probing(gateway, "/dev/ttyUSB1")
    await gateway.says(device_is("meter-1", "taken"))
    process.kill()
    await process.communicate()
    await gateway.says(device_is("meter-1", "ok"))
    await gateway.go_on("meter-1")


async def test_a_port_is_lent_once(gateway):
    await gateway.well("air-1")
    async with borrowing(gateway, "/dev/ttyAMA0") as first:
        assert first == {"ok": {"port": "/dev/ttyAMA0", "devices": {"air-1": "plantower"}}}
        async with borrowing(gateway, "/dev/ttyAMA0") as second:
            assert second == {"error": "/dev/ttyAMA0 is lent already"}
    await gateway.says(device_is("air-1", "ok"))


async def test_what_is_no_port_of_the_agent_is_not_lent(gateway):
    for port in ("/dev/ttyUSB7", None, 7):
        async with borrowing(gateway, port) as answer:
            assert answer == {"error": f"{port} is no port of this agent"}


async def test_a_line_with_an_output_is_not_lent(broker, tmp_path):
    config, plan = tmp_path / "gateway.toml", tmp_path / "cabinet.toml"
    config.write_text(CONFIG)
    plan.write_text(PLAN)
    async with Gateway(broker.url, config=config, plan=plan) as gateway:
        await gateway.well("siren-1", "meter-1")
        process = await probing(gateway, "/dev/ttyUSB1")
        async with asyncio.timeout(WITHIN):
            printed, complaints = await process.communicate()
        assert (process.returncode, printed) == (1, b"")
        assert "/dev/ttyUSB1 is not lent: siren-1 is switched through it" in complaints.decode()
        await gateway.go_on("meter-1")


async def test_the_agent_stops_in_time_although_a_port_is_lent(gateway):
    await gateway.well("air-1")
    async with borrowing(gateway, "/dev/ttyAMA0"):
        await gateway.says(device_is("air-1", "taken"))
        await gateway.stop()
