"""Copies of the agent's packages with one defect in them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("agent", "drivers")


@dataclass(frozen=True, slots=True)
class Mutation:
    """A defect as a textual replacement, which must fit at exactly one place, and who must notice it."""

    defect: str  # as a sentence
    file: str
    right: str
    wrong: str
    noticed_by: tuple[str, ...]  # FILE::SCENARIO below tests/scenarios


class MisfitError(Exception):
    """A mutation that does not fit the code any more; the message says which and how often its text is there."""


def mutated(mutation: Mutation) -> str:
    """Return the text of the file with the defect in it; raises MisfitError."""
    text = (ROOT / mutation.file).read_text("utf-8")
    if (found := text.count(mutation.right)) != 1:
        raise MisfitError(f"{mutation.file} has {mutation.right!r} {found} times, not once: {mutation.defect}")
    return text.replace(mutation.right, mutation.wrong)


def put_into(folder: Path, mutation: Mutation | None) -> None:
    """Lay out a copy of the agent with the defect in it, if any, for PYTHONPATH; raises MisfitError."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    if mutation is not None:
        (folder / mutation.file).write_text(mutated(mutation), "utf-8")
