"""The simulation finds bugs: each of these is planted in a process of its own, and must be found."""

import subprocess
import sys

import pytest

from tests.simulation.bugs import BUGS, FOUND


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name, tmp_path_factory):
    known = tmp_path_factory.getbasetemp().parent / "clean"  # shared by the workers
    known.mkdir(exist_ok=True)
    found = subprocess.run(
        [sys.executable, "-m", "tests.simulation.bugs", name, "--known", known],
        check=False,
        capture_output=True,
        text=True,
    )
    assert found.returncode == FOUND, found.stdout + found.stderr
