"""Each line of docs/promises.md names tests, and each of them exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES = [line for line in (ROOT / "docs/promises.md").read_text("utf-8").splitlines() if line.startswith("|")][2:]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[1].strip())
def test_a_promise_names_tests_that_exist(line):
    _, _happens, _promised, shown, _ = line.split("|")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", shown)

    assert len(named) == shown.count("`") // 2 > 0
    for path, test in named:
        source = (ROOT / path).read_text("utf-8")
        assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), f"{path} has no {test}"
