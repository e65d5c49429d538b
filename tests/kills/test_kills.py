"""A few of the kills that `make kills` makes by the thousand."""

import random
import shutil

import pytest

from tests.kills.campaign import campaign

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt-get install strace"),
]


async def test_what_was_written_before_a_kill_at_any_system_call_arrives_once():
    seed = random.randrange(1 << 32)
    outcome = await campaign(15, seed)
    assert not outcome.faults, "\n".join([f"make kills KILLS=15 SEED={seed}", *outcome.faults])
    assert outcome.records
    assert outcome.acknowledged
