"""Plants one bug in one module of the agent, and looks whether the simulation finds it.

A seed that fails has found the bug if it does not fail without it. It runs in a process of its own: the module is
changed while it is imported, and nothing is written anywhere.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

FOUND, NOT_FOUND, STALE = 0, 1, 2
SEEDS = 40  # tried for each bug


class Bug(NamedTuple):
    """A line of production code, and what stands in its place."""

    module: str
    old: str
    new: str
    step: int = 1  # which seeds are tried: all, or those about one thing (`scenario.THEMES`)
    first: int = 0


# Seeds 2t+1, 2t+11, 2t+21 ... are about the theme number t.
KILLS, POWER_AND_CARD, REFUSALS, CLOCK, YOUNG = ({"first": 2 * theme + 1, "step": 10} for theme in range(5))

BUGS = {
    "an acknowledgement before it came": Bug(
        "agent.uplink.pump",
        "        self._tally.published += 1\n",
        "        self._tally.published += 1\n"
        "        if message.source is not None:\n"
        "            sent.queue._outbox.done(message.source.pack)\n",
        **KILLS,
    ),
    "a lost progress snapshot": Bug(
        "agent.journal.state",
        '            "done": done,\n',
        '            "done": {},\n',
        **KILLS,
    ),
    "a reused number": Bug(
        "agent.journal.opening",
        "            state.next[appended.stream] = appended.last + 1\n",
        "            state.next[appended.stream] = appended.last\n",
        **KILLS,
    ),
    "a sync left out": Bug(
        "agent.journal.card",
        "            self._file.sync()\n",
        "",
        **POWER_AND_CARD,
    ),
    "a failed sync repeated as if nothing had happened": Bug(
        "agent.journal.card",
        "            self._file.sync()\n",
        "            try:\n                self._file.sync()\n"
        "            except OSError:\n                self._file.sync()\n",
        first=113,
    ),
    "what the page cache gives back believed": Bug(
        "agent.journal.stock",
        "                committed[stream].remove(first, last)\n",
        "                pass\n",
        first=10008,
    ),
    "a commit that kills put off for ever": Bug(
        "agent.journal.journal",
        "        else:\n            self._hurry()\n",
        "",
        first=96,
        step=16,
    ),
    "an anchor of another boot": Bug(
        "agent.timekeeper",
        "date_by(self._anchors.get(boot, ()), at)",
        "date_by(self._anchors.get(boot) or next(iter(self._anchors.values()), ()), at)",
        **CLOCK,
    ),
    "an entry of the ledger left out": Bug(
        "agent.journal.journal",
        "            self.append(Stream.LEDGER, [entry])\n",
        '            if entry.kind != "lost":\n                self.append(Stream.LEDGER, [entry])\n',
        first=93,
    ),
    "a refusal taken for a delivery": Bug(
        "agent.uplink.pump",
        "                self._on_refused(sent, error, now)\n",
        "                self._on_acked(sent, 0)\n",
        **REFUSALS,
    ),
    "what was refused sent again in the wrong order": Bug(
        "agent.uplink.queues",
        "        insort(self._waiting, source, key=lambda waiting: (waiting.place, waiting.pack.first))\n",
        "        self._waiting.insert(0, source)\n",
        **REFUSALS,
    ),
    "a measurement taken twice": Bug(
        "agent.sampler.pipeline",
        "                self._is_well()\n        finally:\n",
        "                self._is_well()\n"
        "                if len(records) == 5:\n"
        "                    records.append(records[-1])\n"
        "        finally:\n",
    ),
    "a kept value lost": Bug(
        "agent.journal.journal",
        "        self._keeping.write(Kind.KEEP, opening.encode_keep(key, value))\n",
        "",
        **KILLS,
    ),
    "a pack that ends one number too late": Bug(
        "agent.uplink.queues",
        "            self._outbox.done(whole)\n",
        "            from dataclasses import replace\n\n"
        "            self._outbox.done(replace(whole, last=whole.last + 1))\n",
        **KILLS,
    ),
    "an alarm that stands left out of health": Bug(  # the events are what they ought to be
        "agent.health",
        '            "alarms": pipeline.alarms,',
        '            "alarms": {},',
    ),
}


class StaleError(Exception):
    """The text that a bug replaces is not in its module exactly once: the bug has to be planted anew."""


class _Planted(SourceFileLoader):
    def __init__(self, bug: Bug, path: str) -> None:
        super().__init__(bug.module, path)
        self._bug = bug

    def get_code(self, fullname: str) -> CodeType:
        """Compile the changed source, past every cache."""
        text = self.get_data(self.get_filename(fullname)).decode()
        count = text.count(self._bug.old)
        if count != 1:
            message = f"{self._bug.module} has {count} times, not once, the text:\n{self._bug.old}"
            raise StaleError(message)
        return compile(text.replace(self._bug.old, self._bug.new), self.path, "exec")


class _Planting:
    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find the one module."""
        del target
        if name != self._bug.module:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.origin is None:
            return None
        spec.loader = _Planted(self._bug, spec.origin)
        return spec


def plant(bug: Bug) -> None:
    """Have the module be imported with the bug in it."""
    assert bug.module not in sys.modules, "too late"
    sys.meta_path.insert(0, _Planting(bug))


@click.command(help=__doc__)
@click.argument("name", type=click.Choice(list(BUGS)), metavar="NAME")
@click.option("--known", type=click.Path(path_type=Path), help="A folder for what seeds come to without a bug.")
@click.pass_context
def main(context: click.Context, name: str, known: Path | None) -> None:
    """Plant a bug and play seeds until one of them fails."""
    with TemporaryDirectory() as folder:
        context.exit(look_for(name, known or Path(folder)))


def look_for(name: str, known: Path) -> int:
    """Plant a bug and play seeds until one of them fails; `known` is a folder for what seeds come to without it."""
    bug = BUGS[name]
    plant(bug)
    try:
        from tests.simulation.__main__ import verdict
    except StaleError as error:
        click.echo(f"the plant {name!r} is stale: {error}")
        return STALE
    for count in range(SEEDS):
        one = verdict(bug.first + count * bug.step)
        if one.faults and is_clean(one.seed, known):
            click.echo(f"found with seed {one.seed}, the {count + 1}. that was tried: {one.faults[0]}")
            return FOUND
    click.echo(f"not found with {SEEDS} seeds")
    return NOT_FOUND


def is_clean(seed: int, known: Path) -> bool:
    """Play a seed in another process, without the bug, once for all bugs: one that fails anyway has found nothing."""
    verdict = known / str(seed)
    if not verdict.exists():
        command = [sys.executable, "-m", "tests.simulation", "--seed", str(seed)]
        played = subprocess.run(command, check=False, capture_output=True)
        verdict.write_text("clean" if played.returncode == 0 else "fails")
    return verdict.read_text() == "clean"


main.epilog = f"""\b
Exits with {FOUND}: found; {NOT_FOUND}: not found; {STALE}: the text to be replaced is not there once.

\b
Names:
""" + "\n".join(f"  {name!r}" for name in BUGS)  # `\\b` keeps click from wrapping what follows

if __name__ == "__main__":
    main()
