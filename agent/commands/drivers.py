"""`roadside drivers`: what can be connected, and how each is configured."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, get_args

import click

from agent.commands import INVALID_CONFIGURATION
from agent.config.hints import Hint, example, help_of, hints, is_table, least, origin, split
from agent.i18n import _, pad, width
from drivers import registry
from drivers.contract import Driver, InputDriver, ListeningDriver, OutputDriver, PollingDriver
from drivers.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence


EXAMPLES: Mapping[str, Mapping[str, object]] = {  # settings that no type tells
    "line": {"pattern": "rain=(?P<rain>[0-9.]+)"}
}
EXAMPLE_PIN = 17
EXAMPLE_PATH = "/dev/ttyUSB0"


@click.command(help=_("List what can be connected; with a NAME, how it is configured, wired and what it measures."))
@click.argument("name", required=False)
@click.option("--quantities", is_flag=True, help=_("List what Roadside can measure, with the units."))
def command(name: str | None, quantities: bool) -> int:
    """List all drivers or quantities, or describe one driver."""
    if quantities:
        rows = [(quantity, unit or "-", _(title)) for quantity, (unit, title) in QUANTITIES.items()]
        click.echo("\n".join(_columns(rows)))
        return 0
    if name is None:
        rows = [(driver.name, _(driver.title), ", ".join(_measured(driver))) for driver in _all()]
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
    yield from _columns([(label, text) for label, text in _facts(driver) if text])
    if driver.wiring:
        yield ""
        yield _("Wiring")
        yield from _indented(_columns([(_(wire.pin), _(wire.to), _(wire.note)) for wire in driver.wiring]))
    if driver.notes:
        yield ""
        yield _("Mind")
        yield from _indented([_(note) for note in driver.notes])
    yield ""
    yield _("Measures")
    measured = [(name, unit, _title(name)) for name, unit in _measured(driver).items()]
    yield from _indented(_columns(measured) or [_("what its settings say")])
    for heading, rows in _keys(driver):
        yield ""
        yield heading
        yield from _indented(_columns(rows) or [_("none")])
    yield ""
    yield _("Example")
    yield from example_lines(driver)


def _keys(driver: Driver) -> Iterator[tuple[str, list[_Row]]]:
    """Yield all that can be written of a device, table by table."""
    from agent.config.devices import PORT_HELP, Common
    from agent.config.model import AlarmRule, Rules

    table = f"devices.{_id(driver)}"
    serial = isinstance(driver, ListeningDriver | PollingDriver)
    port = [("port", _("text or table"), _("required"), _(PORT_HELP))] if serial else []
    common = {"silent_after": driver.silent_after, "warm_up": driver.warm_up, "label": None}
    if isinstance(driver, PollingDriver):
        common = {"every": driver.every, **common}
    if isinstance(driver, OutputDriver):
        common["sounds_for"] = None
    rules = {name for name in hints(Rules) if not (driver.event and name == "stuck_after")}
    quantity = next(iter(_measured(driver)), "NAME")
    yield _("Settings"), _rows(driver.settings)
    yield _("Settings of every such device"), [*port, *_rows(Common, common, common)]
    yield _("Rules of a quantity: [{table}]").format(table=f"{table}.{quantity}"), _rows(Rules, rules)
    yield _("Alarms: [[{table}]], one or more").format(table=f"{table}.alarms"), _rows(AlarmRule)


def _id(driver: Driver) -> str:
    """Return the id that the device has in the example."""
    return f"{driver.name.replace('_', '-')}-1"


def example_lines(driver: Driver) -> Iterator[str]:
    """Yield a table that can be put into a configuration."""
    yield f"[devices.{_id(driver)}]"
    yield f'driver = "{driver.name}"'
    if isinstance(driver, ListeningDriver | PollingDriver):
        yield f'port = "{EXAMPLE_PATH}"'
        lines = [(f'# port = {{ path = "{EXAMPLE_PATH}", line = "{driver.line}" }}', _("# with line settings"))]
        if isinstance(driver, PollingDriver):
            lines.append(('# port = "rs485"', _("# shared with others: a name from [ports]")))
        yield from _columns(lines)
    for each in dataclasses.fields(driver.settings):
        hint = hints(driver.settings)[each.name]
        value = EXAMPLES.get(driver.name, {}).get(each.name)
        if _is_required(each):
            value = EXAMPLE_PIN if each.name == "pin" else least(hint)
        if value is not None:
            yield f"{each.name} = {json.dumps(value)}"
    yield 'label = { en = "Name", th = "ชื่อ" }'


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
    yield _("Silent after"), _("{seconds:g} s without a value").format(seconds=driver.silent_after)
    yield _("Warm-up"), _("{seconds:g} s").format(seconds=driver.warm_up) if driver.warm_up else ""
    yield _("Alarm when true"), ", ".join(driver.alarms)
    yield _("Source"), driver.source


_Row = tuple[str, str, str, str]


def _rows(cls: Hint, names: Collection[str] | None = None, defaults: Mapping[str, object] | None = None) -> list[_Row]:
    """Return a row for each field, or for those named, with defaults that the dataclass does not know."""
    fields = {each.name: each for each in dataclasses.fields(cls) if names is None or each.name in names}
    return [_setting(each, hints(cls)[name], (defaults or {}).get(name)) for name, each in fields.items()]


def _setting(each: dataclasses.Field[Any], hint: Hint, default: object = None) -> _Row:
    """Return name, what may stand there, the default, and what it is for."""
    help_ = help_of(hint)
    if default is None and each.default is not dataclasses.MISSING:
        default = each.default
    unit = f" {help_.unit}" if help_.unit else ""
    stands = _("required") if _is_required(each) else _default(default, unit)
    return each.name, _kind(hint) + unit, stands, _(help_.text)


def _is_required(each: dataclasses.Field[Any]) -> bool:
    return each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING


def _default(value: object, unit: str) -> str:
    if value is None or value == ():
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}{unit}" if isinstance(value, int | float) else str(value)


def _kind(hint: Hint) -> str:
    """Return what may stand there: `up, down, none`, `1 to 247`."""
    plain, metadata = split(hint)
    if is_table(plain):
        return f"{{ {', '.join(hints(plain))} }}"
    if origin(plain) is tuple:
        return _("list")
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
