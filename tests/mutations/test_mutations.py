"""The table of mutations fits the code, has every scenario in it, and a sample of it is run."""

import ast
from pathlib import Path

import pytest

from tests.mutations.__main__ import unnoticed
from tests.mutations.mutants import MisfitError, Mutation, mutated
from tests.mutations.table import MUTATIONS

SCENARIOS = Path(__file__).parents[1] / "scenarios"
SAMPLE = ("the sum of a frame of the air sensor is not checked", "each tip counts twice", "alarms are forgotten")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.defect)
def test_a_mutation_fits_at_exactly_one_place_and_is_still_python(mutation):
    ast.parse(mutated(mutation))


def test_every_scenario_is_in_the_table():
    written = {
        f"{path.name}::{part.name}"
        for path in SCENARIOS.glob("test_*.py")
        for part in ast.parse(path.read_text()).body
        if isinstance(part, ast.AsyncFunctionDef) and part.name.startswith("test_")
    }
    in_the_table = {one.partition("[")[0] for mutation in MUTATIONS for one in mutation.noticed_by}
    assert in_the_table == written
    assert len(written) >= 40


def test_a_mutation_that_fits_nowhere_says_so():
    with pytest.raises(MisfitError, match=r"0 times, not once: nonsense"):
        mutated(Mutation("nonsense", "agent/seams.py", "nowhere to be found", "", ()))


@pytest.mark.system
@pytest.mark.parametrize("mutation", [one for one in MUTATIONS if one.defect in SAMPLE], ids=lambda one: one.defect)
def test_a_sample_of_the_defects_is_noticed(mutation):
    assert not unnoticed(mutation, mutation.noticed_by[-1:], workers=0)
