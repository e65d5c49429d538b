"""Put every defect into the agent, one after the other, and see that its scenarios fail: `make mutations`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.mutations.mutants import ROOT, Mutation, put_into
from tests.mutations.table import MUTATIONS

PATIENCE = 8.0  # seconds: a defect that is noticed costs all of it
OUTCOMES = ("PASSED", "FAILED", "ERROR")


def outcomes(mutation: Mutation | None, scenarios: tuple[str, ...], workers: int = 2) -> list[str]:
    """Run scenarios against a mutant, or a copy without a defect; return a line `FAILED path::name` for each."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        put_into(Path(folder), mutation)
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-rpfE", "--no-header", "--tb=no", "-p", "no:cacheprovider"),
                *("-n", str(workers), "--patience", str(PATIENCE), "--agent-environment", f"PYTHONPATH={folder}"),
                *(f"tests/scenarios/{one}" for one in scenarios),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    told = [line.partition(" - ")[0] for line in run.stdout.splitlines() if line.startswith(OUTCOMES)]
    return told or [f"ERROR pytest ended with {run.returncode}:\n{run.stdout[-2000:]}{run.stderr[-2000:]}"]


def unnoticed(mutation: Mutation, scenarios: tuple[str, ...], workers: int = 2) -> list[str]:
    """Return what did not fail on a defect. An error proves nothing: the mutant may not have started at all."""
    return [line for line in outcomes(mutation, scenarios, workers) if not line.startswith("FAILED")]


def main() -> int:
    """Run all, or those whose defect has a word in it; first, as many scenarios must pass where there is no defect."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("words", nargs="*", help="only defects with one of these in their sentence")
    words = parser.parse_args().words
    console = Console(highlight=False, markup=False, soft_wrap=True)
    chosen = [one for one in MUTATIONS if not words or any(word in one.defect for word in words)]
    scenarios = tuple(scenario for mutation in chosen for scenario in mutation.noticed_by)
    bad = [line for line in outcomes(None, scenarios) if not line.startswith("PASSED")]
    console.print("without a defect:", "all pass" if not bad else "\n".join(bad))
    unseen = 0
    for mutation in chosen:
        began = time.monotonic()
        left = unnoticed(mutation, mutation.noticed_by)
        unseen += bool(left)
        verdict = "\n".join(["NOT NOTICED", *left]) if left else f"noticed by {len(mutation.noticed_by)}"
        console.print(f"{time.monotonic() - began:6.1f} s  {mutation.defect}: {verdict}")
    console.print(f"{len(chosen) - unseen} of {len(chosen)} defects were noticed by all of their scenarios")
    return bool(unseen or bad)


if __name__ == "__main__":
    sys.exit(main())
