"""`roadside watch` of the running agent: what it shows, what it records, and that nobody who watches is in its way."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

from agent import recording
from tests.drivers import recordings as harness
from tests.system.gateway import Gateway

WITHIN = 20  # seconds


async def watching(gateway, *arguments):
    """Start to watch."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "watch", "--root", str(gateway.root), *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def seen(gateway, *arguments, seconds=2.5):
    """Watch for a while, and return exit status, lines and complaints."""
    process = await watching(gateway, *arguments, "--for", str(seconds))
    async with asyncio.timeout(WITHIN):
        printed, complaints = await process.communicate()
    return process.returncode, printed.decode().splitlines(), complaints.decode()


def decodes_to_what_it_says(file, driver):
    """Hold a recording against the harness of the recordings of drivers; return what is expected."""
    (one,) = recording.recordings(file.read_text())
    made = harness.Recording("x", driver, one.head, one.given, one.played_on, one.data, one.expected)
    assert made.lines() == made.expected
    return made.expected


async def test_all_devices_or_one_are_shown_while_the_agent_goes_on(gateway):
    await gateway.well("air-1", "level-1", "meter-1")
    (status, lines, complaints), (_, alone, _), (_, raw, _) = await asyncio.gather(
        seen(gateway), seen(gateway, "air-1"), seen(gateway, "meter-1", "--raw")
    )
    assert (status, complaints) == (0, "")
    assert {line.split()[1] for line in lines} >= {"air-1", "level-1", "meter-1"}
    assert {line.split()[1] for line in alone} == {"air-1"}
    assert any("pm2_5" in line and line.endswith("µg/m³") for line in alone)
    assert any("meter-1 > 01 04" in line for line in raw)
    assert any("meter-1 < 01 04" in line for line in raw)
    await gateway.loses_nothing()


async def test_what_is_recorded_of_the_agents_devices_is_what_a_test_takes(gateway, tmp_path):
    await gateway.well("air-1", "meter-1")
    await asyncio.gather(
        seen(gateway, "air-1", "--record", tmp_path / "plantower.txt"),
        seen(gateway, "meter-1", "--record", tmp_path / "sdm120.txt"),
    )
    assert any('"pm2_5"' in line for line in decodes_to_what_it_says(tmp_path / "plantower.txt", "plantower"))
    assert any('"voltage"' in line for line in decodes_to_what_it_says(tmp_path / "sdm120.txt", "sdm120"))
    await gateway.go_on("air-1", "meter-1")


async def test_a_device_that_there_is_not(gateway):
    status, _, complaints = await seen(gateway, "moon-1")
    assert status == 1
    assert "no device 'moon-1'; there are: " in complaints


async def test_one_who_does_not_read_holds_nobody_up_and_is_told_what_was_missed(broker):
    async with Gateway(broker.url) as gateway:
        await gateway.well("air-1", "level-1")
        line = socket.socket(socket.AF_UNIX)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.setblocking(False)
        line.connect(str(gateway.root / "run/roadside/control"))
        reader, writer = await asyncio.open_unix_connection(sock=line, limit=1 << 22)
        writer.write(b'{"do": "watch", "devices": ["level-1"], "raw": true}\n')
        assert json.loads(await reader.readline())["ok"]["devices"]["level-1"]["driver"] == "a02yyuw"
        reader._transport.pause_reading()  # a terminal that is stopped
        # As much as a line never carries: what does not fit anywhere has to be dropped.
        for _ in range(120):
            gateway.wire("level-1").write(bytes.fromhex("98 e6 80 66") * 900)
            await asyncio.sleep(0.01)
        await gateway.go_on("air-1")
        reader._transport.resume_reading()
        missed = 0
        async with asyncio.timeout(WITHIN):
            while not missed:
                missed += json.loads(await reader.readline())["ok"]["missed"]
        writer.close()


async def test_whoever_hangs_up_is_forgotten(gateway):
    await gateway.well("air-1")
    for _ in range(20):
        _reader, writer = await asyncio.open_unix_connection(gateway.root / "run/roadside/control")
        writer.write(b'{"do": "watch", "raw": true}\n')
        writer.close()
    process = await watching(gateway, "air-1")
    assert await process.stdout.readline()
    process.kill()
    await process.communicate()
    await gateway.go_on("air-1")


async def test_who_watches_is_told_when_the_agent_stops(gateway):
    await gateway.well("air-1")
    process = await watching(gateway)
    async with asyncio.timeout(WITHIN):
        assert await process.stdout.readline()
        await gateway.stop()
        _, complaints = await process.communicate()
    assert (process.returncode, complaints.decode()) == (1, "the agent has stopped\n")
