"""What strace does at a kill, on this machine: the whole proof rests on it."""

import shutil
import sys

import pytest

from tests.kills.trace import Trace
from tests.kills.traced import Kill, TracedAgent

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed: apt-get install strace"
)

WRITES = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
for at in range(10):
    os.pwrite(file, b"%d" % at, at)
"""


async def killed(root, kill):
    run = [sys.executable, "-c", WRITES, str(root / "1.young")]
    process = TracedAgent(run, root=root, folder=root / "trace", kill=kill)
    await process.start()
    assert await process.ended(20.0)
    trace = Trace(process.folder)
    return process, trace, bytes(trace.written(".young")[str(root / "1.young")].data)


async def test_a_call_at_whose_entry_the_process_is_killed_is_not_performed(tmp_path):
    process, trace, seen = await killed(tmp_path, Kill("pwrite64", 4, on_exit=False))
    assert not process.last_call(trace).returned
    assert seen == (tmp_path / "1.young").read_bytes() == b"012"


async def test_a_call_at_whose_exit_the_process_is_killed_has_been_performed(tmp_path):
    process, trace, seen = await killed(tmp_path, Kill("pwrite64", 4, on_exit=True))
    assert process.last_call(trace).returned
    assert seen == (tmp_path / "1.young").read_bytes() == b"0123"


async def test_a_process_that_ends_before_its_kill_was_not_killed(tmp_path):
    process, trace, seen = await killed(tmp_path, Kill("pwrite64", 11, on_exit=False))
    assert process.last_call(trace) is None
    assert seen == (tmp_path / "1.young").read_bytes() == b"0123456789"
