"""`roadside drivers`: what can be connected, and how each is configured."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, get_args

import click

from agent.commands import INVALID_CONFIGURATION
from agent.config.hints import Hint, example, help_of, hints, split
from agent.i18n import _, pad, width
from drivers import registry
from drivers.contract import Driver, InputDriver, ListeningDriver, OutputDriver, PollingDriver
from drivers.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@click.command(help=_("List what can be connected; with a NAME, how it is configured, wired and what it measures."))
@click.argument("name", required=False)
def command(name: str | None) -> int:
    """List all drivers or describe one."""
    if name is None:
        rows = [(driver.name, _(driver.title), ", ".join(_measured(driver))) for driver in _all()]
        click.echo("\n".join(_columns(rows)))
        return 0
    try:
        driver = registry.load(name)
    except registry.DriverError as error:
        click.echo(str(error), err=True)
        return INVALID_CONFIGURATION
    click.echo("\n".join(_description(driver)))
    return 0


def _all() -> Iterator[Driver]:
    """Yield the drivers that can be used; of the others, say why not."""
    for name in registry.names():
        try:
            yield registry.load(name)
        except registry.BrokenDriverError as error:
            click.echo(str(error), err=True)


def _description(driver: Driver) -> Iterator[str]:
    yield f"{driver.name}: {_(driver.title)}"
    yield ""
    yield from _columns([(label, text) for label, text in _facts(driver) if text])
    yield ""
    yield _("Settings")
    rows = [_setting(each, hints(driver.settings)[each.name]) for each in dataclasses.fields(driver.settings)]
    yield from _indented(_columns(rows) or [_("none")])
    yield ""
    yield _("Measures")
    measured = [(name, unit, _title(name)) for name, unit in _measured(driver).items()]
    yield from _indented(_columns(measured) or [_("what its settings say")])


def _facts(driver: Driver) -> Iterator[tuple[str, str]]:
    if isinstance(driver, ListeningDriver):
        yield _("Connection"), _("serial, {line}, speaks unasked").format(line=driver.line)
    elif isinstance(driver, PollingDriver):
        text = _("serial, {line}, asked every {every:g} s; may share its port")
        yield _("Connection"), text.format(line=driver.line, every=driver.every)
    elif isinstance(driver, InputDriver):
        yield _("Connection"), _("GPIO input")
    elif isinstance(driver, OutputDriver):
        yield _("Connection"), _("GPIO output")
    yield _("Wiring"), _(driver.wiring)
    yield _("Silent after"), _("{seconds:g} s without a value").format(seconds=driver.silent_after)
    yield _("Warm-up"), _("{seconds:g} s").format(seconds=driver.warm_up) if driver.warm_up else ""
    yield _("Alarm when true"), ", ".join(driver.alarms)
    yield _("Source"), driver.source


def _setting(each: dataclasses.Field[Any], hint: Hint) -> tuple[str, str, str, str]:
    """Return name, what may stand there, the default, and what it is for."""
    help_ = help_of(hint)
    required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    default = each.default if each.default is not dataclasses.MISSING else None
    unit = f" {help_.unit}" if help_.unit else ""
    stands = _("required") if required else _default(default, unit)
    return each.name, _kind(hint) + unit, stands, _(help_.text)


def _default(value: object, unit: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}{unit}" if isinstance(value, int | float) else str(value)


def _kind(hint: Hint) -> str:
    """Return what may stand there: `up, down, none`, `1 to 247`."""
    plain, metadata = split(hint)
    names = {bool: "true, false", int: _("whole number"), float: _("number"), str: _("text")}
    if not isinstance(plain, type) and all(isinstance(choice, str) for choice in get_args(plain)):
        return ", ".join(get_args(plain))
    low = _limit(metadata, "ge", "gt")
    high = _limit(metadata, "le", "lt")
    if low is not None and high is not None:
        return _("{low:g} to {high:g}").format(low=low, high=high)
    return names.get(plain, _("table"))


def _limit(metadata: Sequence[object], *names: str) -> float | None:
    found = (getattr(item, name, None) for item in metadata for name in names)
    return next((limit for limit in found if limit is not None), None)


def _measured(driver: Driver) -> Mapping[str, str]:
    settings = example(driver.settings)
    return {} if settings is None else driver.quantities(settings)


def _title(quantity: str) -> str:
    return _(QUANTITIES[quantity].title) if quantity in QUANTITIES else ""


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay rows out below each other; the last column is as long as it likes."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(pad, row, widths)).rstrip() for row in rows]


def _indented(lines: Sequence[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
