"""Fuzzes every decoder for a while, guided by coverage: `make fuzz`.

    python -m tests.drivers.fuzz [NAME...] [--seconds 240]

Each driver has a process of its own and its share of the time; its recordings are what the fuzzer begins with. What
breaks a truth of tests/drivers/truths.py is put into tests/drivers/corpus/NAME, where test_every_decoder.py tries it
again for ever.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.drivers.truths import CORPUS, MOST_KEPT, judge, kept

LONGEST = 512  # bytes of an input: more than two frames of any device
SLOWEST = 5  # seconds for one input
ONE = "--one"


def main() -> int:
    """Fuzz all drivers, or those named, one after the other; returns how many were broken."""
    from tests.drivers.recordings import serial_names

    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("names", nargs="*", default=[])
    arguments.add_argument("--seconds", type=float, default=240.0, help="for all of them together")
    given = arguments.parse_args()
    wanted = given.names or serial_names()
    share = max(1, round(given.seconds / len(wanted)))
    broken = 0
    for name in wanted:
        done = subprocess.run(
            [sys.executable, "-m", "tests.drivers.fuzz", ONE, name, str(share)], stderr=subprocess.PIPE, check=False
        )
        said = done.stderr.decode(errors="replace")
        tries = next((line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line), "?")
        print(f"{name:<18} {share:4d} s {tries:>9} inputs  {'ok' if done.returncode == 0 else 'BROKEN'}", flush=True)  # noqa: T201
        with suppress(OSError):  # it is not empty, or it is not there
            (CORPUS / name).rmdir()
        if done.returncode:
            broken += 1
            print(said[-4000:], flush=True)  # noqa: T201
    return broken


def fuzz(name: str, seconds: str) -> None:
    """Fuzz one driver; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["drivers"]):
        from tests.drivers.recordings import recordings

        known = recordings(name)
        known[0].decoder()  # what it imports is instrumented, too

    def look(data: bytes) -> None:
        decoder = known[0].decoder()
        idle = kept(decoder)
        decoder.feed(data)
        assert kept(decoder) - idle <= MOST_KEPT, "it keeps more and more"
        judge(known[0], data, (data[: len(data) // 2], data[len(data) // 2 :]))

    found = CORPUS / name
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for index, recording in enumerate(known):
            (Path(folder) / str(index)).write_bytes(recording.data)
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST}",
            f"-timeout={SLOWEST}",
            "-print_final_stats=1",
            f"-artifact_prefix={found}/",
        ]
        atheris.Setup([sys.argv[0], *options, folder], look)
        atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [ONE]:
        fuzz(*sys.argv[2:])
    else:
        sys.exit(main())
