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

PATIENCE = 8.0  # seconds: a defect that is there shows in less, and each one that is noticed costs all of it


def unnoticed(mutation: Mutation, scenarios: tuple[str, ...], workers: int = 2) -> str:
    """Run scenarios against a mutant; return what passed, or did not run. Empty: all failed."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        put_into(Path(folder), mutation)
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-rpE", "--no-header", "--tb=no", "-p", "no:cacheprovider"),
                *("-n", str(workers), "--patience", str(PATIENCE), "--agent-environment", f"PYTHONPATH={folder}"),
                *(f"tests/scenarios/{one}" for one in scenarios),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    # A mutant whose agent does not even start proves nothing: that is an error of the fixture, and no failed test.
    told = [line for line in run.stdout.splitlines() if line.startswith(("PASSED", "ERROR"))]
    return "\n".join(told) if run.returncode == 1 else f"pytest ended with {run.returncode}:\n{run.stdout[-2000:]}"


def main() -> int:
    """Run all, or those whose defect has a word in it."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("words", nargs="*", help="only defects with one of these in their sentence")
    words = parser.parse_args().words
    console = Console(highlight=False, markup=False)
    chosen = [one for one in MUTATIONS if not words or any(word in one.defect for word in words)]
    bad = 0
    for mutation in chosen:
        began = time.monotonic()
        found = unnoticed(mutation, mutation.noticed_by)
        bad += bool(found)
        verdict = f"NOT NOTICED\n{found}" if found else f"noticed by {len(mutation.noticed_by)}"
        console.print(f"{time.monotonic() - began:6.1f} s  {mutation.defect}: {verdict}")
    console.print(f"{len(chosen) - bad} of {len(chosen)} defects were noticed by all of their scenarios")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
