"""The pytest plugin: `pytest -p hil.plugin --rig=sim|container|vm|vm-arm64|RIG.toml`, and the fixture `rig`.

What a test needs of a rig it says by `@pytest.mark.needs("power", "gpio")`. What the rig cannot do is skipped, counted
and told with its reason at the end. `--repeat N` runs each test so many times and tells how often it passed;
`--hil-report=FILE` writes a page on which every test stands with its timeline.
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from hil.rigs.base import Capability, Rig, RigError
from hil.rigs.description import Description, read
from hil.rigs.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

BACKENDS = {
    "sim": "hil.rigs.sim:SimRig",
    "container": "hil.rigs.container:ContainerRig",
    "vm": "hil.rigs.vm:VmRig",
    "vm-arm64": "hil.rigs.vm:Arm64Rig",
    "bench": "hil.rigs.bench.rig:BenchRig",
}
PATIENCE = 60.0  # seconds that a test waits for what it expects

_TIMELINE = pytest.StashKey[Timeline]()
_BENCH = pytest.StashKey["Bench"]()


class Bench:
    """The rig of this session: its description, its kind, and what it lacks."""

    def __init__(self, path: Path) -> None:
        self.description: Description = read(path)
        kind = self.description.rig.kind
        if kind not in BACKENDS:
            raise RigError(f"{path}: a rig of kind {kind!r} is not there yet; there are: {', '.join(BACKENDS)}")
        module, _, name = BACKENDS[kind].partition(":")
        self.kind: type[Rig] = getattr(import_module(module), name)
        if reason := self.kind.why_not():
            raise RigError(f"{path}: there can be no such rig here: {reason}")
        self.lacks: Mapping[Capability, str] = self.kind.lacks(self.description)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("hil", "hardware in the loop")
    group.addoption("--rig", default="sim", help="a name of the project's rigs (ini hil_rigs), or a RIG.toml")
    group.addoption("--repeat", type=int, default=1, metavar="N", help="run each test on a rig N times")
    group.addoption("--patience", type=float, default=PATIENCE, metavar="SECONDS", help="for what a test expects")
    group.addoption("--hil-report", type=Path, metavar="FILE", help="write a page with every test's timeline")
    group.addoption(
        "--agent-environment", action="append", default=[], metavar="NAME=VALUE", help="give this to the agent"
    )
    parser.addini("hil_rigs", "the folder of the project's rigs", type="paths", default=["rigs"])


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line("markers", "needs(*capabilities): what a test needs of a rig, such as power, gpio, clock")
    config.addinivalue_line("markers", "settings(mapping): what is set in the agent's configuration for a test")


def bench(config: pytest.Config) -> Bench:
    """Return the rig of this session; raises pytest.UsageError if its description is wrong."""
    if _BENCH not in config.stash:
        name = config.getoption("--rig")
        folders: list[Path] = config.getini("hil_rigs")
        named = [folder / f"{name}.toml" for folder in folders]
        try:
            config.stash[_BENCH] = Bench(next((path for path in named if path.is_file()), Path(name)))
        except RigError as error:
            raise pytest.UsageError(str(error)) from error
    return config.stash[_BENCH]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have each test on a rig run as often as asked for."""
    times = metafunc.config.getoption("--repeat")
    if times > 1 and "rig" in metafunc.fixturenames:
        metafunc.fixturenames.append("_time")
        metafunc.parametrize("_time", range(1, times + 1), ids=lambda time: f"time{time}")


@pytest.fixture
def _time(request: pytest.FixtureRequest) -> int:
    number: int = getattr(request, "param", 1)
    return number


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs something that the rig cannot do."""
    needed = [Capability(name) for marker in item.iter_markers("needs") for name in marker.args]
    if not needed:
        return
    lacks = bench(item.config).lacks
    if reasons := [f"{capability}: {lacks[capability]}" for capability in needed if capability in lacks]:
        pytest.skip("; ".join(reasons))


@pytest_asyncio.fixture
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A gateway with everything around it, alive and ready."""
    session = bench(request.config)
    timeline = request.node.stash[_TIMELINE] = Timeline()
    settings: dict[str, str] = {}
    for marker in request.node.iter_markers("settings"):
        settings |= marker.args[0]
    environment = dict(one.partition("=")[::2] for one in request.config.getoption("--agent-environment"))
    patience = request.config.getoption("--patience")
    made: Any = session.kind
    async with made(
        session.description, timeline, patience=patience, settings=settings, environment=environment
    ) as one:
        yield one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:  # noqa: ANN401 - a generator of pytest's own kind
    """Hang the timeline on the report, in a form in which xdist carries it."""
    report = yield
    if _TIMELINE in item.stash and report.when == "call":
        report.hil_timeline = item.stash[_TIMELINE].plain()
        report.hil_title = _title(item)
    if any(item.iter_markers("needs")):
        report.hil_needs = True
    return report


def _title(item: pytest.Item) -> str:
    """Return the sentence that a test is: the first line of its docstring, or its name."""
    doc = getattr(getattr(item, "function", None), "__doc__", None)
    name = item.name.partition("[")[0].removeprefix("test_").replace("_", " ")
    return str(doc).strip().splitlines()[0] if doc else name


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:  # noqa: ANN401 - of pytest's inside
    """Tell what was skipped and why, how often each test passed, and where the page is."""
    stats: dict[str, list[Any]] = terminalreporter.stats
    skipped = [report for report in stats.get("skipped", []) if hasattr(report, "hil_needs")]
    if skipped:
        terminalreporter.section(f"what rig {config.getoption('--rig')} cannot do: {len(skipped)} skipped")
        reasons = Counter(_reason(report) for report in skipped)
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:4}  {reason}")
    ran = [report for kind in ("passed", "failed") for report in stats.get(kind, []) if hasattr(report, "hil_timeline")]
    if config.getoption("--repeat") > 1 and ran:
        _tell_rates(terminalreporter, ran)
    if (path := config.getoption("--hil-report")) and ran:
        from hil.report import page

        path.write_text(page(ran, config.getoption("--rig")), encoding="utf-8")
        terminalreporter.line(f"timelines: {path}")


def _tell_rates(reporter: Any, ran: list[Any]) -> None:  # noqa: ANN401 - of pytest's inside
    passed, all_ = Counter[str](), Counter[str]()
    for report in ran:
        name = report.nodeid.rpartition("[")[0] or report.nodeid
        all_[name] += 1
        passed[name] += report.passed
    reporter.section(f"pass rate: {passed.total()} of {all_.total()} ({passed.total() / all_.total():.1%})")
    for name in sorted(all_, key=lambda name: (passed[name] / all_[name], name)):
        reporter.line(f"{passed[name]:4} of {all_[name]:<4}  {name}")


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)
