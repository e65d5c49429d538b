"""`roadside drivers`: what can be connected, and how each is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.commands import INVALID_CONFIGURATION, wording
from agent.commands.description import common, example_table, facts, few, measured, sections
from agent.i18n import _, pad, width
from drivers import registry
from drivers.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.commands.description import Row
    from drivers.contract import Driver


@click.command(help=_("List what can be connected; with a NAME, how it is configured, wired and what it measures."))
@click.argument("name", required=False)
@click.option("--quantities", is_flag=True, help=_("List what Roadside can measure, with the units."))
def command(name: str | None, quantities: bool) -> int:
    """List all drivers or quantities, or describe one driver."""
    if quantities:
        rows = [(quantity, wording.unit(unit) or "-", _(title)) for quantity, (unit, title) in QUANTITIES.items()]
        click.echo("\n".join(_columns(rows)))
        return 0
    if name is None:
        rows = [(driver.name, _(driver.title), few(measured(driver))) for driver in _all()]
        click.echo("\n".join(_columns(rows)))
        return 0
    try:
        driver = registry.load(name)
    except registry.UnknownDriverError:
        from agent.config.devices import unknown_driver

        click.echo(unknown_driver(name), err=True)
        return INVALID_CONFIGURATION
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
    yield from _columns(facts(driver))
    for section in [*sections(driver), *common(driver)]:
        if section.rows:
            yield ""
            yield section.heading
            yield from (f"  {line}" for line in _columns(section.rows))
    yield ""
    yield _("Example")
    yield from example_lines(driver)


def example_lines(driver: Driver) -> Iterator[str]:
    """Yield a table that can be put into a configuration; comments stand below each other."""
    lines = list(example_table(driver))
    commented = max((width(line[0]) for line in lines if len(line) > 1), default=0)
    for line in lines:
        yield "  ".join((pad(line[0], commented), *line[1:])) if len(line) > 1 else line[0]


def _columns(rows: Sequence[Row]) -> list[str]:
    """Lay rows out below each other; the last column is as long as it likes."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(pad, row, widths)).rstrip() for row in rows]
