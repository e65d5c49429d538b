"""`make campaign SEEDS=N`: plays seed after seed on both cores and says which ones fail, and how to see why."""

# ruff: noqa: T201 - this is a command, and prints
from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from multiprocessing import Pool
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.judge import judge
from tests.simulation.play import Play

if TYPE_CHECKING:
    from tests.simulation.fit import Fit

CORES = 2
SHOWN = 8  # faults of a seed that is replayed
PROGRESS = 20  # seeds between two lines of progress: a campaign that is cut off has said how far it came


class Verdict(NamedTuple):
    """What one seed came to."""

    seed: int
    faults: list[str]
    measured: int
    seconds: float  # simulated
    ends: str
    digest: str
    reached: frozenset[str] = frozenset()  # what of all that could happen did


def verdict(seed: int, fit: Fit | None = None) -> Verdict:
    """Play a seed and judge it."""
    try:
        play = Play(seed, fit)
        play.run()
        faults = judge(play)
    except Exception as error:  # noqa: BLE001 - a seed that breaks the simulation itself must not end the campaign
        return Verdict(seed, [f"{type(error).__name__}: {error}"], 0, 0.0, "", "")
    ends = " ".join(end.how for end in play.ends)
    measured = len(play.truth.measured)
    return Verdict(seed, faults, measured, play.universe.now / 1e9, ends, play.universe.digest(), _reached(play))


def _reached(play: Play) -> frozenset[str]:
    """Return what happened in a play: how runs ended, how disks failed, what the ledgers state."""
    reached = play.reached | {f"a run ended by {end.how}" for end in play.ends}
    reached |= {f"the card: {spell.how}" for spell in play.card_spells}
    reached |= {f"tmpfs: {spell.how}" for spell in play.young_spells}
    for broker in play.brokers():
        for one in broker.city.records.values():
            if one.name.stream == "ledger":
                where = " for one uplink" if "uplink" in one.fields else ""
                reached.add(f"the ledger: {one.fields['n']} {one.fields.get('why', '')}{where}")
    return frozenset(reached)


def main(arguments: list[str]) -> int:
    """Run a campaign, or replay one seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="replay this one alone")
    parser.add_argument("--verbose", action="store_true", help="with --seed: the end of the trace of events")
    parser.add_argument("--lines", type=int, default=200, help="with --verbose: so many lines of it")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return replay(options.seed, options.lines if options.verbose else 0)
    return campaign(range(options.first, options.first + options.seeds))


def replay(seed: int, lines: int) -> int:
    """Play one seed and show what is wrong with it."""
    play = Play(seed)
    play.run()
    faults = judge(play)
    for line in list(play.universe.tail)[-lines:] if lines else []:
        print(line)
    print(f"seed {seed}, {play.shape.name}: {len(play.truth.measured)} measured, {len(play.city.records)} records came")
    print(f"runs: {', '.join(f'{end.how} at {end.now / 1e9:.1f} s' for end in play.ends)}")
    print(f"trace {play.universe.digest()}")
    for fault in faults[:SHOWN]:
        print(f"  {fault}")
    if len(faults) > SHOWN:
        print(f"  and {len(faults) - SHOWN} more")
    return bool(faults)


def campaign(seeds: range) -> int:
    """Play all of them on both cores; an interruption (SIGINT) ends it with what came so far."""
    began = time.monotonic()
    count, failed, measured, simulated = 0, 0, 0, 0.0
    reached: Counter[str] = Counter()
    with Pool(CORES, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        verdicts = pool.imap_unordered(verdict, seeds)  # a week takes longer than many of an hour
        with suppress(KeyboardInterrupt):
            for count, one in enumerate(verdicts, 1):
                measured += one.measured
                simulated += one.seconds
                reached.update(one.reached)
                if one.faults:
                    failed += 1
                    more = f" (and {len(one.faults) - 1} more)" if len(one.faults) > 1 else ""
                    print(f"seed {one.seed}: {one.faults[0][:300]}{more}")
                    print(f"    python -m tests.simulation --seed {one.seed} --verbose", flush=True)
                if count % PROGRESS == 0:
                    print(
                        f"{count} of {len(seeds)}, {failed} failed; {simulated / 86_400:.1f} simulated days", flush=True
                    )
    took = time.monotonic() - began
    print(
        f"{count} of {len(seeds)} seeds (from {seeds.start}), {failed} failed; "
        f"{measured} measurements in {simulated / 86_400:.1f} simulated days, "
        f"{took:.0f} s ({took / max(1, count):.2f} s a seed)"
    )
    for what, times in sorted(reached.items()):
        print(f"{times:6} seeds: {what}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
