"""What is said of a driver: for `roadside drivers NAME`, and for the pages in docs/drivers."""

from __future__ import annotations

import dataclasses
import json
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from agent.commands import wording
from agent.config.hints import Hint, example, help_of, hints, is_table, least, origin, split
from agent.i18n import _
from drivers.contract import (
    BusOutputDriver,
    Driver,
    GatewayDriver,
    InputDriver,
    ListeningDriver,
    OutputDriver,
    PacedDriver,
    PollingDriver,
    RangingDriver,
    SerialDriver,
    may_share,
)
from drivers.meanings import FAULTS, REASONS
from drivers.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

Row = tuple[str, ...]

EXAMPLES: Mapping[str, Mapping[str, object]] = {  # settings that no type tells
    "line": {"pattern": "rain=(?P<rain>[0-9.]+)"},
    "modbus": {"profile": "sdm120"},
}
EXAMPLE_PINS: Mapping[str, int] = {"pin": 17, "trigger": 23, "echo": 24}
EXAMPLE_PATH = "/dev/ttyUSB0"
FEW = 9  # names in a row


class Section(NamedTuple):
    """A heading and a table, or lines that are tables of one column."""

    heading: str
    columns: Row  # what stands in each column
    rows: Sequence[Row]


def facts(driver: Driver) -> list[Row]:
    """Return what a driver is, in pairs of label and text."""
    if isinstance(driver, ListeningDriver):
        connection = _("serial, {line}, speaks unasked").format(line=driver.line)
    elif isinstance(driver, PollingDriver | BusOutputDriver):
        text = (
            _("serial, {line}, asked every {every:g} s; may share its port")
            if may_share(driver)
            else _("serial, {line}, asked every {every:g} s")
        )
        connection = text.format(line=driver.line, every=driver.every)
    elif isinstance(driver, RangingDriver):
        connection = _("two GPIO pins, asked every {every:g} s").format(every=driver.every)
    elif isinstance(driver, GatewayDriver):
        connection = _("none: it is the gateway itself, told every {every:g} s").format(every=driver.every)
    else:
        connection = _("GPIO input") if isinstance(driver, InputDriver) else _("GPIO output")
    pairs = [
        (_("Connection"), connection),
        (_("Silent after"), _("{seconds:g} s without a value").format(seconds=driver.silent_after)),
        (_("Warm-up"), _("{seconds:g} s").format(seconds=driver.warm_up) if driver.warm_up else ""),
        (_("Alarm when true"), ", ".join(driver.alarms)),
        (_("Source"), driver.source),
    ]
    return [pair for pair in pairs if pair[1]]


def sections(driver: Driver) -> Iterator[Section]:
    """Yield what a technician wants to know of a driver."""
    wires = [(_(wire.pin), _(wire.to), _(wire.note)) for wire in driver.wiring]
    measures = [(name, wording.unit(unit), title(name)) for name, unit in measured(driver).items()]
    yield Section(_("Wiring"), (_("Device"), _("Pi"), ""), wires)
    yield Section(_("Mind"), ("",), [(_(note),) for note in driver.notes])
    yield Section(_("Measures"), (_("Quantity"), _("Unit"), ""), measures or [(_("what its settings say"),)])
    reasons = [(reason.value, _(REASONS[reason])) for reason in driver.reasons]
    yield Section(_("No value, because"), (_("Reason"), ""), reasons)
    faults = [(fault.value, _(FAULTS[fault])) for fault in driver.faults]
    yield Section(_("Faults"), (_("Fault"), ""), faults)
    yield from _registers(driver)
    yield Section(_("Settings"), setting_columns(), setting_rows(driver.settings) or [(_("none"),)])


def _registers(driver: Driver) -> Iterator[Section]:
    """Yield where the values of a Modbus meter stand."""
    from drivers.modbus.profile import Profile  # few drivers have one

    if isinstance(driver.profile, Profile) and driver.profile.values:
        heading = _("Registers, read by function {function}").format(function=driver.profile.function)
        rows = [
            (name, f"{value.register} = 0x{value.register:04X}", value.type, f"{value.scale:g}")
            for name, value in driver.profile.values.items()
        ]
        yield Section(heading, (_("Quantity"), _("Register"), _("Type"), _("Times")), rows)


def common(driver: Driver) -> Iterator[Section]:
    """Yield what can be written of every device of such a driver."""
    from agent.config.devices import PORT_HELP, Common
    from agent.config.model import AlarmRule, Rules

    table = f"devices.{device_id(driver)}"
    port = [("port", _("text or table"), _("required"), _(PORT_HELP))] if isinstance(driver, SerialDriver) else []
    defaults = {"silent_after": driver.silent_after, "warm_up": driver.warm_up, "label": None}
    if isinstance(driver, PacedDriver):
        defaults = {"every": driver.every, **defaults}
    if isinstance(driver, OutputDriver | BusOutputDriver):
        defaults["sounds_for"] = None
    rules = {name for name in hints(Rules) if not (driver.event and name == "stuck_after")}
    quantity = next(iter(measured(driver)), "NAME")
    rows = [*port, *setting_rows(Common, defaults, defaults)]
    yield Section(_("Settings of every such device"), setting_columns(), rows)
    heading = _("Rules of a quantity: [{table}]").format(table=f"{table}.{quantity}")
    yield Section(heading, setting_columns(), setting_rows(Rules, rules))
    heading = _("Alarms: [[{table}]], one or more").format(table=f"{table}.alarms")
    yield Section(heading, setting_columns(), setting_rows(AlarmRule))


def example_table(driver: Driver) -> Iterator[Row]:
    """Yield the lines of a table that can be put into a configuration, some with a comment."""
    yield (f"[devices.{device_id(driver)}]",)
    yield (f'driver = "{driver.name}"',)
    if isinstance(driver, SerialDriver):
        yield (f'port = "{EXAMPLE_PATH}"',)
        yield f'# port = {{ path = "{EXAMPLE_PATH}", line = "{driver.line}" }}', _("# with line settings")
        if may_share(driver):
            yield '# port = "rs485"', _("# shared with others: a name from [ports]")
    for each in dataclasses.fields(driver.settings):
        value = EXAMPLES.get(driver.name, {}).get(each.name)
        if value is None and is_required(each):
            value = EXAMPLE_PINS.get(each.name) or least(hints(driver.settings)[each.name])
        if value is not None:
            yield (f"{each.name} = {json.dumps(value)}",)
    yield ('label = { en = "Name", th = "ชื่อ" }',)


def measured(driver: Driver) -> Mapping[str, str]:
    """Return all quantities that a driver may measure, with their units; nothing if its settings alone tell."""
    found: dict[str, str] = {}
    if driver.name not in EXAMPLES:
        for settings in _variants(driver.settings):
            found |= driver.quantities(settings)
    return found


def _variants(cls: Hint) -> Iterator[object]:
    """Yield settings with their defaults, and then with one of them changed, as far as that makes sense."""
    first: Any = example(cls)
    if first is None:
        return
    yield first
    for each in dataclasses.fields(cls):
        hint = hints(cls)[each.name]
        choices = get_args(split(hint)[0]) if is_choice(hint) else [least(hint)] if each.default is None else []
        for choice in choices:
            with suppress(ValueError):
                yield dataclasses.replace(first, **{each.name: choice})


def title(quantity: str) -> str:
    """Return the words for a quantity; "" if it is one of the device's own settings."""
    return _(QUANTITIES[quantity].title) if quantity in QUANTITIES else ""


def few(names: Collection[str]) -> str:
    """Return what is measured in a row, of many only the first."""
    if not names:
        return _("what its settings say")
    return ", ".join(names if len(names) <= FEW else [*list(names)[: FEW - 1], "..."])


def device_id(driver: Driver) -> str:
    """Return the id that a device has in the example."""
    return f"{driver.name.replace('_', '-')}-1"


# --- settings ---------------------------------------------------------------------------------------------------------


def setting_columns() -> Row:
    """Return what stands in the columns of `setting_rows`."""
    return _("Key"), _("Value"), _("Default"), ""


def setting_rows(
    cls: Hint, names: Collection[str] | None = None, defaults: Mapping[str, object] | None = None
) -> list[Row]:
    """Return a row for each field, or for those named, with defaults that the dataclass does not know."""
    fields = {each.name: each for each in dataclasses.fields(cls) if names is None or each.name in names}
    return [_setting(each, hints(cls)[name], (defaults or {}).get(name)) for name, each in fields.items()]


def is_required(each: dataclasses.Field[Any]) -> bool:
    """Tell whether a setting has no default."""
    return each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING


def is_choice(hint: Hint) -> bool:
    """Tell whether a setting is one of a few texts."""
    plain = split(hint)[0]
    return not isinstance(plain, type) and all(isinstance(choice, str) for choice in get_args(plain))


def _setting(each: dataclasses.Field[Any], hint: Hint, default: object = None) -> Row:
    """Return name, what may stand there, the default, and what it is for."""
    help_ = help_of(hint)
    if default is None and each.default is not dataclasses.MISSING:
        default = each.default
    unit = f" {help_.unit}" if help_.unit else ""
    stands = _("required") if is_required(each) else _default(default, unit)
    return each.name, _kind(hint) + unit, stands, _(help_.text)


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
    names = {bool: "true, false", int: _("whole number"), float: _("number"), str: _("text"), date: _("date")}
    if is_choice(hint):
        return ", ".join(get_args(plain))
    low = _limit(metadata, "ge", "gt")
    high = _limit(metadata, "le", "lt")
    if low is not None and high is not None:
        return _("{low:g} to {high:g}").format(low=low, high=high)
    return names.get(plain, _("table"))


def _limit(metadata: Sequence[object], *names: str) -> float | None:
    found = (getattr(item, name, None) for item in metadata for name in names)
    return next((limit for limit in found if limit is not None), None)
