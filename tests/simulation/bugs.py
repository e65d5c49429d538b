"""Plants one bug in one module of the agent, and looks whether the simulation finds it.

A seed that fails has found the bug if it does not fail without it. The bug lives in a process of its own: the module
is changed while it is imported, and nothing is written anywhere. Beside each bug stands the simulation that shows it:
short, and about little else, so that a good part of all seeds find it, whatever a change of the agent does to each.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, NamedTuple

import click

from tests.simulation.fit import Fit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

FOUND, NOT_FOUND, STALE = 0, 1, 2
SEEDS = 40  # tried for each bug


class Bug(NamedTuple):
    """A line of production code, what stands in its place, and a simulation in which that shows."""

    module: str
    old: str
    new: str
    fit: Fit


# Numbers, marks of delivery and kept values have to outlive a run; nothing else goes wrong.
KILLS = Fit({"kill": 8, "broken_line": 4})
# Many small packs make commits of more than a page: a page that later commits touch again is written again with them.
MANY = {"pack_within": 0.0, "pack_size": 3}
# A button says at each start that nobody presses it: that is of the alarm stream, and committed at once, with all else.
NO_BUTTON = ("panic-1", "siren-1")

# Two brokers that are away, each for itself and both together.
AWAY = Fit(special=2, seconds=300.0)

BUGS = {
    "an acknowledgement before it came": Bug(
        "agent.uplink.pump",
        "        self._tally.published += 1\n",
        "        self._tally.published += 1\n"
        "        if message.source is not None:\n"
        "            sent.queue._outbox.done(message.source.pack)\n",
        KILLS,
    ),
    "a lost progress snapshot": Bug(
        "agent.journal.state",
        '            "done": done,\n',
        '            "done": {},\n',
        KILLS,
    ),
    "a reused number": Bug(
        "agent.journal.opening",
        "            state.next[appended.stream] = appended.last + 1\n",
        "            state.next[appended.stream] = appended.last\n",
        Fit({"kill": 12}),
    ),
    "a sync left out": Bug(
        "agent.journal.card",
        "            self._file.sync()\n",
        "",
        Fit({"power_cut": 3, "outage": 3}, journal={"commit_interval": 1.0}),
    ),
    "a failed sync repeated as if nothing had happened": Bug(
        "agent.journal.card",
        "            self._file.sync()\n",
        "            try:\n                self._file.sync()\n"
        "            except OSError:\n                self._file.sync()\n",
        Fit(first="failed_syncs", seconds=300.0, journal={"commit_interval": 30.0, **MANY}),
    ),
    "what the page cache gives back believed": Bug(
        "agent.journal.stock",
        "                committed[stream].remove(first, last)\n",
        "                pass\n",
        Fit({"kill": 24}, first="failed_syncs", seconds=300.0, journal={"commit_interval": 30.0}, without=NO_BUTTON),
    ),
    "a commit that kills put off for ever": Bug(
        "agent.journal.journal",
        "        else:\n            self._due.hurry_snapshot()\n",
        "",
        Fit(special=0, seconds=180.0, journal={"commit_interval": 10.0}, without=NO_BUTTON, rests=0.1),
    ),
    "an anchor of another boot": Bug(
        "agent.timekeeper",
        "date_by(self._anchors.get(boot, ()), at)",
        "date_by(self._anchors.get(boot) or next(iter(self._anchors.values()), ()), at)",
        Fit({"clock": 4, "power_cut": 3}),
    ),
    "an entry of the ledger left out": Bug(
        "agent.journal.losses",
        "            self._append(Stream.LEDGER, [entry])\n",
        '            if entry.kind != "lost":\n                self._append(Stream.LEDGER, [entry])\n',
        Fit({"power_cut": 4}, special=6, journal={"commit_interval": 30.0}),
    ),
    "a refusal taken for a delivery": Bug(
        "agent.uplink.pump",
        "                self._on_refused(sent, error, now)\n",
        "                self._on_acked(sent, 0)\n",
        Fit({"refusal": 12}),
    ),
    "what was refused sent again in the wrong order": Bug(
        "agent.uplink.queues",
        "        insort(self._waiting, source, key=lambda waiting: (waiting.place, waiting.pack.first))\n",
        "        self._waiting.insert(0, source)\n",
        Fit({"refusal": 20}, journal=MANY),
    ),
    "a measurement taken twice": Bug(
        "agent.sampler.pipeline",
        "                    self._is_well(self.trouble)\n        finally:\n",
        "                    self._is_well(self.trouble)\n"
        "                if len(records) == 5:\n"
        "                    records.append(records[-1])\n"
        "        finally:\n",
        Fit({"kill": 2}, seconds=50.0),
    ),
    "a kept value lost": Bug(
        "agent.journal.journal",
        "        self._keeping.write(Kind.KEEP, opening.encode_keep(key, value))\n",
        "",
        Fit({"kill": 12}, journal={"commit_interval": 30.0, "young_limit": 1 << 20}),
    ),
    "a pack that ends one number too late": Bug(
        "agent.uplink.queues",
        "            self._outbox.done(whole)\n",
        "            from dataclasses import replace\n\n"
        "            self._outbox.done(replace(whole, last=whole.last + 1))\n",
        Fit({"kill": 4}, seconds=50.0),
    ),
    "a first broker that is taken again before it is steady": Bug(
        "agent.uplink.route",
        "            wait = self._failback_after * self._random.uniform(1.0, LONGER)\n",
        "            wait = 0.0\n",
        AWAY,
    ),
    "what was on its way forgotten on the way back to the first broker": Bug(
        "agent.uplink.publisher",
        "        self._outbox.rewind()  # makes history also of what came while there was no link\n",
        "",
        AWAY,
    ),
    "an alarm that stands left out of health": Bug(  # the events are what they ought to be
        "agent.health",
        '            "alarms": pipeline.alarms,',
        '            "alarms": {},',
        Fit(seconds=150.0),
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


class Found(NamedTuple):
    """What showed a bug."""

    seed: int
    fault: str


def look_for(name: str, first: int = 0) -> Found | None:
    """Play seeds with a bug until one fails that does not fail without it; raises StaleError."""
    while first < SEEDS:
        command = [sys.executable, "-m", "tests.simulation.bugs", "--planted", name, "--first", str(first)]
        played = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if played.returncode == STALE:
            raise StaleError(played.stdout)
        if played.returncode != FOUND:
            return None
        seed, _, fault = played.stdout.strip().partition(" ")
        if is_clean(int(seed), BUGS[name].fit):
            return Found(int(seed), fault)
        first = int(seed) + 1  # it fails anyway, and has found nothing
    return None


def is_clean(seed: int, fit: Fit) -> bool:
    """Play a seed without the bug."""
    from tests.simulation.__main__ import verdict

    return not verdict(seed, fit).faults


def play_with(name: str, first: int) -> int:
    """Plant a bug in this process and play seeds until one fails, which is printed with what is wrong; return FOUND."""
    plant(BUGS[name])
    try:
        from tests.simulation.__main__ import verdict
    except StaleError as error:
        click.echo(f"the plant {name!r} is stale: {error}")
        return STALE
    for seed in range(first, SEEDS):
        if faults := verdict(seed, BUGS[name].fit).faults:
            click.echo(f"{seed} {faults[0]}")
            return FOUND
    return NOT_FOUND


@click.command(help=__doc__)
@click.argument("name", type=click.Choice(list(BUGS)), metavar="NAME")
@click.option("--planted", is_flag=True, help="Plant it in this very process, and hold no seed against one without it.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.pass_context
def main(context: click.Context, name: str, first: int, *, planted: bool) -> None:
    """Plant a bug and play seeds until one of them fails."""
    if planted:
        context.exit(play_with(name, first))
    try:
        found = look_for(name, first)
    except StaleError as error:
        click.echo(str(error))
        context.exit(STALE)
    click.echo(f"found with seed {found.seed}: {found.fault}" if found else f"not found with {SEEDS} seeds")
    context.exit(FOUND if found else NOT_FOUND)


main.epilog = f"""\b
Exits with {FOUND}: found; {NOT_FOUND}: not found; {STALE}: the text to be replaced is not there once.

\b
Names:
""" + "\n".join(f"  {name!r}" for name in BUGS)  # `\\b` keeps click from wrapping what follows

if __name__ == "__main__":
    main()
