"""`roadside run`: the agent itself, as systemd starts it."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent import VERSION, logs
from agent.commands import refuse, root_option, set_option
from agent.config import ready
from agent.config.trying import Trying
from agent.host.again import begin_again
from agent.host.clock import SystemClock
from agent.host.disk import Folder
from agent.host.environment import environment
from agent.host.lock import TakenError, held
from agent.host.manager import ServiceManager
from agent.host.paths import Paths
from agent.host.threads import DaemonThreads
from agent.i18n import _, install, speaking

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from agent.config.model import Config
    from agent.proof import Proof

ALREADY_RUNNING = 75  # EX_TEMPFAIL of sysexits(3): it may well be that the other one is just about to end
DEFAULT = "/etc/roadside/gateway.toml"
JUDGE_EVERY = 1.0  # seconds between two looks at what a configuration on trial has shown


@click.command(help=_("Run the agent until SIGTERM; exit status 78 if there is no configuration it can use."))
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help=_("The configuration; /etc/roadside/gateway.toml, below --root, unless given."),
)
@root_option
@set_option
def command(path: Path | None, root: Path, overrides: dict[str, str]) -> int:
    """Run the agent."""
    logs.install(_handler())
    paths = Paths(root, environment())
    state = Folder(paths.state)
    trying = Trying(state, paths.state, path or paths.under(DEFAULT), SystemClock(paths.root))
    trying.start()
    problems: list[str] = []
    config = ready.recall(state, trying.path, overrides)
    if config is None:
        from agent.config.choosing import choose  # and with it pydantic: a good quarter of a start
        from agent.config.problems import ConfigError

        try:
            with speaking("en"):  # what becomes of its problems is published
                config, problems = choose(state, trying.path, overrides, on_trial=trying.is_on)
        except ConfigError as error:
            return refuse(error)
        if problems:
            trying.give_up(problems[0])
    with ExitStack() as locks:
        for folder in (paths.runtime, paths.state):
            try:
                locks.enter_context(held(folder))
            except TakenError as error:
                text = _("another agent runs here already (process {process}, which holds {folder})")
                click.echo(text.format(process=error.process, folder=error.folder), err=True)
                return ALREADY_RUNNING
            except OSError as error:  # such as a card that is full or read-only: no reason not to run
                logs.get("agent").error("not_locked", folder=folder, detail=str(error))
        reloading = Reloading(trying, overrides, ServiceManager(environment()))
        install("en")  # the agent speaks to the city and, through the control socket, to people of either language
        with logs.in_background(), asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(DaemonThreads())
            runner.run(_run(config, paths, problems, reloading))
    if reloading.wanted:
        begin_again()
    return 0


def _handler() -> logging.Handler:
    if not logs.under_journald(environment()):
        return logs.for_people(sys.stderr)
    from agent.host.journald import JournaldHandler

    return JournaldHandler(logs.for_journald(sys.stderr))


class Reloading:
    """Implements `agent.commanding.verbs.Reloading`: the agent ends, and begins anew with the new configuration."""

    def __init__(self, trying: Trying, overrides: Mapping[str, str], manager: ServiceManager) -> None:
        self.wanted = False
        self.stop = asyncio.Event()
        self._trying = trying
        self._overrides = overrides
        self._manager = manager
        self._checking: asyncio.Task[None] | None = None

    def hang_up(self) -> None:
        """Take up the file if it is valid, else tell why not and go on (SIGHUP, `systemctl reload`)."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._reload(), name="reload")

    async def _reload(self) -> None:
        self._manager.reloading()
        if problems := await self.problems(None):
            for problem in problems:
                logs.get("agent").error("configuration_invalid", problem=problem)
            self._manager.notify("READY=1", f"STATUS={problems[0]}")
        else:
            self.restart()

    async def problems(self, sha256: str | None) -> list[str]:
        """Return all that is wrong with the file, or with its digest; it is read in a thread, samplers go on."""
        return await asyncio.get_running_loop().run_in_executor(None, self._problems, sha256)

    async def configure(self, text: str, minutes: float, *, offline: bool) -> list[str]:
        """Put a configuration on trial and begin anew with it, or return all that is wrong with it."""
        problems = await asyncio.get_running_loop().run_in_executor(None, self._problems_of, text)
        if not problems:
            self._trying.begin(text, minutes, offline=offline)
            self.restart()
        return problems

    def state(self) -> dict[str, Any]:
        """Return what became of the configuration that was given last."""
        return self._trying.state()

    async def judge(self, shown: Callable[[], Proof | None]) -> None:
        """End a trial when the agent has shown that it works, or with its time; beginning anew if need be."""
        while self._trying.is_on:
            if self._trying.judge(shown()):
                self.restart()
            await asyncio.sleep(JUDGE_EVERY)

    def restart(self) -> None:
        """End in order, and begin anew, unless the end has been asked for."""
        if not self.stop.is_set():
            self._manager.reloading()
            self._manager.notify("WATCHDOG=1")  # the loop turns, also where one beginning follows upon the other
            self.wanted = True
            self.stop.set()

    def end(self) -> None:
        """End in order, for good, also while beginning anew (SIGTERM, SIGINT)."""
        # Not said before a new beginning: systemd 257 would wait for the end of the process, and then kill it.
        self._manager.notify("STOPPING=1")
        self.wanted = False
        self.stop.set()

    def _problems(self, sha256: str | None) -> list[str]:
        from hashlib import sha256 as digest

        from agent.config.load import build, read_file
        from agent.config.problems import ConfigError

        path = self._trying.path
        try:
            if sha256 is not None and digest(path.read_bytes()).hexdigest() != sha256:
                return [f"{path}: is not the file with that sha256"]
            build(read_file(path), overrides=self._overrides)
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        except OSError as error:
            return [f"{path}: {error.strerror}"]
        return []

    def _problems_of(self, text: str) -> list[str]:
        from agent.config.load import load
        from agent.config.problems import ConfigError

        try:
            load(text, overrides=self._overrides)
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        return []


async def _run(config: Config, paths: Paths, problems: list[str], reloading: Reloading) -> None:
    gc.disable()  # imports make no garbage: the collector would look in vain, again and again
    from agent.app import Agent
    from agent.host.machine import Machine

    gc.freeze()  # and what they made stays for ever
    gc.enable()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, reloading.end)
    # Not the loop's own handler: with the loop that one goes, and what then comes before the next run would end us.
    signal.signal(signal.SIGHUP, lambda _number, _frame: loop.call_soon_threadsafe(reloading.hang_up))
    machine = Machine(config, paths, environment())
    agent = Agent(config, machine, version=VERSION, config_problems=problems, reloading=reloading)
    # What a lost connection leaves behind refers to itself and waits for the collector, which looks at all objects only
    # when a quarter as many are new as it found the last time. To look once now, at next to nothing, has it look often.
    gc.collect()
    judging = asyncio.create_task(reloading.judge(lambda: agent.proven), name="trial")
    await agent.run(reloading.stop)
    judging.cancel()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # also of a new beginning, until that takes it up
