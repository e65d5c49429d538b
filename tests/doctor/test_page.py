"""docs/doctor.md names every check and no other, and the pictures are what is printed now."""

import re
from pathlib import Path

import pytest

from agent.doctor import network, running
from agent.doctor.examine import FIRST, ON_A_CARD
from tests.doctor.pictures import DOCS, pictures

PAGE = Path(DOCS, "doctor.md").read_text("utf-8")
NAMES = {check.name for check in (*FIRST, *network.STEPS, *running.CHECKS)}


def rows():
    """Return the names in each row of the table of checks, and whether a card can tell."""
    return [
        (set(re.findall(r"`([a-z]+\.[a-z_]+)`", first)), first.rstrip().endswith("*"))
        for first in re.findall(r"^\| (`[a-z]+\..*?) \|", PAGE, re.MULTILINE)
    ]


def test_every_check_is_in_the_table():
    assert set().union(*(names for names, _on_a_card in rows())) == NAMES


def test_every_check_is_broken_by_a_test_that_names_it():
    only_well = {"test_healthy.py", "test_page.py"}
    sources = [path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path.name not in only_well]
    assert {name for name in NAMES if not any(f'"{name}"' in source for source in sources)} == set()


def test_those_that_a_card_can_tell_are_marked():
    assert set().union(*(names for names, on_a_card in rows() if on_a_card)) == set(ON_A_CARD)


@pytest.mark.parametrize("name", ["doctor.svg", "status.svg"])
def test_a_picture_is_what_is_printed_now(name):
    assert (DOCS / name).read_text("utf-8") == pictures()[DOCS / name], "python -m tests.doctor.pictures"
