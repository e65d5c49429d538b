"""`roadside demo` as a user runs it."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

CLEAN = "lost 0  doubled 0  misdated 0"


@asynccontextmanager
async def demo(*arguments: str, folder: Path):
    """Run a demo with a folder of its own for what is temporary, and make sure that nothing of it is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "demo", "--seed", "7", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(folder)},
        process_group=0,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert mentioning(str(folder)) == []
    assert not any(name.startswith("roadside") for name in os.listdir(folder))


def mentioning(folder: str) -> list[str]:
    """Return the command lines of processes that have to do with a folder."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text("utf-8")
        except OSError:
            continue
        if folder in line:
            lines.append(line.replace("\0", " "))
    return lines


async def test_a_demo_with_an_outage_and_a_kill_accounts_for_everything(short_folder):
    async with demo("--for", "8", "--outage", "2:3", "--kill", "4", folder=short_folder) as process:
        printed, _ = await asyncio.wait_for(process.communicate(), 50)
        lines = printed.decode().splitlines()
        assert process.returncode == 0, printed.decode()
        assert lines[-1].startswith("emitted ")
        assert lines[-1].endswith(CLEAN)
        assert any("link cut" in line for line in lines)
        assert any("killed 1x" in line for line in lines)


async def test_ctrl_c_ends_a_demo_with_an_account(short_folder):
    async with demo("--for", "600", folder=short_folder) as process:
        async for line in process.stdout:
            if b"link up   journal" in line:
                break
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everything in the foreground
        printed, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, printed.decode()
        assert printed.decode().splitlines()[-1].endswith(CLEAN)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5])
async def test_ctrl_c_while_a_demo_begins_ends_it_too(short_folder, seconds):
    async with demo("--for", "600", folder=short_folder) as process:
        await process.stdout.readline()  # the seed
        await asyncio.sleep(seconds)  # no wait for anything: a moment like any other
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode in {0, 130}, printed.decode()
        assert "Traceback" not in printed.decode()
