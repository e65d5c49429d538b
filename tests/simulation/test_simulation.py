"""Seeds of the simulation, as many as a test run can afford; `make campaign` plays more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import verdict

REGRESSIONS = [
    line.partition(" ")
    for line in Path(__file__).with_name("regressions.txt").read_text().splitlines()
    if line[0] != "#"
]
PLAY = "import sys; from tests.simulation.__main__ import verdict; print(verdict(int(sys.argv[1])).digest)"


@pytest.mark.parametrize("first", range(0, 12, 4))
def test_nothing_is_lost_doubled_or_misdated(first):
    for seed in range(first, first + 4):
        assert not verdict(seed).faults, f"python -m tests.simulation --seed {seed} --verbose"


@pytest.mark.parametrize(("seed", "_", "why"), REGRESSIONS)
def test_what_was_found_once_stays_mended(seed, _, why):
    assert not verdict(int(seed)).faults, why


@pytest.mark.parametrize("seed", ["1", "6"])
def test_the_same_seed_gives_the_same_trace(seed):
    digests = {
        subprocess.run(
            [sys.executable, "-c", PLAY, seed],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1
    assert digests != {"\n"}


def test_different_seeds_give_different_traces():
    assert verdict(2).digest != verdict(4).digest
