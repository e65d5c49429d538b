"""One `[devices.x]` table: keys that every device has, the driver's own settings, the rules of its quantities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from agent.config.hints import hints
from agent.config.model import RESERVED_ALARMS, AlarmRule, Device, Labels, Port, Rules
from agent.config.problems import nearest, shown
from agent.config.tables import read
from agent.config.wording import LINE_FORM, is_line_key, unknown_key
from agent.i18n import _
from drivers import registry
from drivers.contract import (
    N_,
    BusOutputDriver,
    Driver,
    GatewayDriver,
    GpioDriver,
    Help,
    Interval,
    ListeningDriver,
    OutputDriver,
    PacedDriver,
    SerialDriver,
)
from drivers.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.config.locate import KeyPath
    from agent.config.problems import Problems
    from agent.config.profiles import Profiles

ALARM_NAME = r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*"
SILENT_AFTER_POLLS = 3  # polls that may go unanswered before a device that is polled seldom is called silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """The keys that every device has, but for its port."""

    driver: Annotated[str, Help(N_("What is connected: a name from `roadside drivers`"))]
    every: Annotated[
        float | None, Interval(ge=0.1, le=86_400), Help(N_("How often a device that answers when asked is asked"), "s")
    ] = None
    silent_after: Annotated[
        float | None, Interval(ge=1, le=604_800), Help(N_("Without a value for so long the device is silent"), "s")
    ] = None
    warm_up: Annotated[
        float | None, Interval(ge=0, le=3600), Help(N_("Values are not sent for so long after power-on"), "s")
    ] = None
    label: Annotated[Labels | None, Help(N_("Name of the device, for people"))] = None
    alarms: Annotated[tuple[AlarmRule, ...], Help(N_("When an alarm is raised"))] = ()
    sounds_for: Annotated[tuple[str, ...], Help(N_("Of an output: the devices whose alarms switch it on"))] = ()


PORT_HELP = N_("The serial port: a path, the name of a shared one from [ports], or a table with path and line")


def device(
    name: str,
    table: Mapping[str, Any],
    path: KeyPath,
    ports: Collection[str],
    profiles: Profiles,
    problems: Problems,
) -> Device | None:
    """Make a device of its table; None if anything was wrong. `ports` are the names of the shared ports."""
    driver = _driver(table, path, profiles, problems)
    if driver is None:
        _without_driver(table, path, ports, problems)
        return None
    common = read(Common, _part(table, hints(Common)), path, problems)
    own = hints(driver.settings)
    settings = read(driver.settings, _part(table, own), path, problems)
    port, bus = _port(table, driver, path, ports, problems)
    rest = {key: value for key, value in table.items() if key not in {*hints(Common), *own, "port"}}
    quantities = None if settings is None else driver.quantities(settings)
    _check_keys(rest, driver, quantities or {}, table.get("port") if bus else None, path, problems)
    if any(not isinstance(value, dict) for value in rest.values()):
        quantities = None  # one of these may be the misspelt setting that makes a quantity
    rules = _rules(rest, driver, quantities, path, problems)
    if common is None or settings is None:
        return None
    alarms = _alarms(common.alarms, driver, quantities, path, problems)
    _check_limits(common.alarms, rules, path, problems)
    every = _every(common, driver, path, problems)
    return Device(
        id=name,
        driver=driver,
        settings=settings,
        port=port,
        bus=bus,
        every=every,
        silent_after=_silent_after(common, driver, settings, every, path, problems),
        warm_up=driver.warm_up if common.warm_up is None else common.warm_up,
        label=common.label,
        rules=rules,
        alarms=alarms,
        sounds_for=_sounds_for(common, driver, path, problems),
    )


def _without_driver(table: Mapping[str, Any], path: KeyPath, ports: Collection[str], problems: Problems) -> None:
    """Say what is wrong with a device whatever its driver turns out to be: keys that are not known may be its own."""
    common = read(Common, _part(table, hints(Common)), path, problems)
    if "port" in table:
        _given_port(table["port"], (*path, "port"), ports, problems)
    rules = {
        key: made
        for key, value in table.items()
        if key in QUANTITIES and isinstance(value, dict) and (made := read(Rules, value, (*path, key), problems))
    }
    if common is not None:
        _check_names(common.alarms, path, problems)
        _check_limits(common.alarms, rules, path, problems)


def _part(table: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key in keys}


def _driver(table: Mapping[str, Any], path: KeyPath, profiles: Profiles, problems: Problems) -> Driver | None:
    name = table.get("driver")
    if not isinstance(name, str):
        return None  # which is told with the keys that every device has
    try:
        if name == registry.BY_PROFILE and isinstance(profile := table.get("profile"), str):
            return profiles.driver(profile, (*path, "profile"), problems)
        return registry.load(name)
    except registry.UnknownDriverError:
        problems.add((*path, "driver"), unknown_driver(name))
    except registry.BrokenDriverError as error:
        problems.add((*path, "driver"), str(error))
    return None


def unknown_driver(name: str) -> str:
    """Return what to say of a name that no driver has: it may be a model's, or nearly the name of a driver."""
    text = _("{value} is not a driver").format(value=shown(name))
    for known in registry.names():
        try:
            words = re.findall(r"[\w-]+", registry.load(known).title)
        except registry.BrokenDriverError:
            continue
        if _bare(name) in map(_bare, words):
            return text + _("; did you mean '{name}'?").format(name=known)
    return text + nearest(name, registry.names())


def _bare(model: str) -> str:
    return re.sub(r"[\W_]", "", model).lower()


def _port(
    table: Mapping[str, Any], driver: Driver, path: KeyPath, ports: Collection[str], problems: Problems
) -> tuple[Port | None, str | None]:
    """Return the port of its own, or the name of the shared one."""
    where = (*path, "port")
    if isinstance(driver, GpioDriver | GatewayDriver):
        if "port" in table:
            text = _("has no meaning: '{driver}' is a GPIO device, and has a pin")
            if isinstance(driver, GatewayDriver):
                text = _("has no meaning: '{driver}' is the gateway itself")
            problems.add(where, text.format(driver=driver.name))
    elif "port" not in table:
        problems.add(where, _("is missing: {help}").format(help=_(PORT_HELP)))
    else:
        return _given_port(table["port"], where, ports, problems)
    return None, None


def _given_port(
    value: object, where: KeyPath, ports: Collection[str], problems: Problems
) -> tuple[Port | None, str | None]:
    if isinstance(value, dict):
        return read(Port, value, where, problems), None
    if not isinstance(value, str):
        problems.add(where, _("must be a text in quotes, or a table with path and line"))
    elif value.startswith("/"):
        return Port(path=value), None
    elif value in ports:
        return None, value
    else:
        text = _("{value} is neither a path such as /dev/ttyAMA0 nor a port of [ports]").format(value=shown(value))
        problems.add(where, text + nearest(value, ports))
    return None, None


def _check_keys(
    rest: Mapping[str, Any],
    driver: Driver,
    quantities: Mapping[str, str],
    bus: str | None,
    path: KeyPath,
    problems: Problems,
) -> None:
    """Say what is wrong with the keys that are no table and yet none of the device's. `bus` is its shared port."""
    known = {**hints(Common), **hints(driver.settings), "port": None}
    for key, value in rest.items():
        if isinstance(value, dict):
            continue
        if is_line_key(key) and isinstance(driver, SerialDriver):
            place = f"[ports.{bus}] {LINE_FORM}" if bus else f'port = {{ path = "...", {LINE_FORM} }}'
            problems.add((*path, key), _("is not a known key; write {form}").format(form=place))
        elif key in quantities:
            problems.add((*path, key), _("must be a table with the rules of this quantity"))
        else:
            problems.add((*path, key), unknown_key(key, known))


def _rules(
    rest: Mapping[str, Any],
    driver: Driver,
    quantities: Mapping[str, str] | None,
    path: KeyPath,
    problems: Problems,
) -> dict[str, Rules]:
    """Return the rules of each quantity that has a table. `quantities` is None if the settings do not tell them."""
    rules: dict[str, Rules] = {}
    for key, value in rest.items():
        if not isinstance(value, dict):
            continue
        if key not in (QUANTITIES if quantities is None else quantities):
            if quantities is not None:
                text = _("is neither a known key nor a quantity of this device")
                meant = nearest(key, {*hints(Common), *hints(driver.settings), "port", *quantities}, or_list=False)
                problems.add((*path, key), text + (meant or nearest(key, quantities)))
        elif made := read(Rules, value, (*path, key), problems):
            rules[key] = made
            if driver.event and made.stuck_after is not None:
                text = _("has no meaning: '{driver}' tells events, and a value that stays the same is no fault")
                problems.add((*path, key, "stuck_after"), text.format(driver=driver.name))
    return rules


def _alarms(
    configured: tuple[AlarmRule, ...],
    driver: Driver,
    quantities: Mapping[str, str] | None,
    path: KeyPath,
    problems: Problems,
) -> tuple[AlarmRule, ...]:
    """Return the configured alarms, and those that the driver has by itself for any other quantity.

    `quantities` is None if the settings do not tell them.
    """
    for index, alarm in enumerate(configured):
        where = (*path, "alarms", index)
        if quantities is not None and alarm.quantity not in quantities:
            text = _("{value} is not a quantity of this device").format(value=shown(alarm.quantity))
            problems.add((*where, "quantity"), text + nearest(alarm.quantity, quantities))
        elif alarm.quantity in driver.alarms and alarm.equals is None:
            problems.add(where, _("'{quantity}' is true or false: use 'equals'").format(quantity=alarm.quantity))
    _check_names(configured, path, problems)
    watched = {alarm.quantity for alarm in configured}
    default = tuple(
        AlarmRule(name=quantity, quantity=quantity, equals=True)
        for quantity in driver.alarms
        if quantity in (quantities or {}) and quantity not in watched
    )
    return configured + default


def _check_names(alarms: tuple[AlarmRule, ...], path: KeyPath, problems: Problems) -> None:
    names: dict[str, KeyPath] = {}
    for index, alarm in enumerate(alarms):
        where = (*path, "alarms", index)
        if not re.fullmatch(ALARM_NAME, alarm.name):
            text = _("an alarm's name is made of lower-case letters, digits, '_' and '-', such as 'flood'")
            problems.add((*where, "name"), text)
        elif alarm.name in RESERVED_ALARMS:
            text = _("'{name}' is an alarm that every device has by itself; choose another name")
            problems.add((*where, "name"), text.format(name=alarm.name))
        elif alarm.name in names:
            text = _("'{name}' is already the name of {place}")
            place = problems.source.place(names[alarm.name])
            problems.add((*where, "name"), text.format(name=alarm.name, place=place))
        names.setdefault(alarm.name, where)


def _check_limits(alarms: tuple[AlarmRule, ...], rules: Mapping[str, Rules], path: KeyPath, problems: Problems) -> None:
    """Refuse an alarm that nothing could ever raise: what is not plausible has no value that could pass its limit."""
    for index, alarm in enumerate(alarms):
        span = rules[alarm.quantity].plausible if alarm.quantity in rules else None
        if span is None:
            continue
        key, limit, reachable = "above", alarm.above, alarm.above is None or alarm.above < span[1]
        if alarm.below is not None:
            key, limit, reachable = "below", alarm.below, alarm.below > span[0]
        if not reachable:
            text = _("{limit:g} can never be passed: 'plausible' of {quantity} is from {low:g} to {high:g}")
            text = text.format(limit=limit, quantity=alarm.quantity, low=span[0], high=span[1])
            problems.add((*path, "alarms", index, key), text)


def _every(common: Common, driver: Driver, path: KeyPath, problems: Problems) -> float | None:
    if isinstance(driver, PacedDriver):
        return driver.every if common.every is None else common.every
    if common.every is not None:
        text = _("has no meaning: '{driver}' speaks unasked; to send less, use 'window' or 'deadband' of a quantity")
        problems.add((*path, "every"), text.format(driver=driver.name))
    return None


def _silent_after(
    common: Common, driver: Driver, settings: object, every: float | None, path: KeyPath, problems: Problems
) -> float:
    if common.silent_after is None:
        pause = every or 0.0  # for which a healthy device says nothing
        if isinstance(driver, ListeningDriver) and driver.prompt and (prompt := driver.prompt(settings)):
            pause = max(prompt.pause, prompt.every or 0.0)
        return max(driver.silent_after, SILENT_AFTER_POLLS * pause)
    if every is not None and common.silent_after <= every:
        text = _("must be longer than 'every' ({every:g} s), or the device would be silent between two values")
        problems.add((*path, "silent_after"), text.format(every=every))
    return common.silent_after


def _sounds_for(common: Common, driver: Driver, path: KeyPath, problems: Problems) -> tuple[str, ...]:
    if common.sounds_for and not isinstance(driver, OutputDriver | BusOutputDriver):
        text = _("has no meaning: '{driver}' is not an output").format(driver=driver.name)
        problems.add((*path, "sounds_for"), text)
    return common.sounds_for
