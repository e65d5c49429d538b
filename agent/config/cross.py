"""What no table can tell about itself: things that are used twice, and names that lead nowhere."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.config.problems import nearest, shown
from agent.i18n import _
from drivers.contract import BusOutputDriver, GatewayDriver, ListeningDriver, PollingDriver, may_share
from drivers.settings import FIRST_MODBUS_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from agent.config.locate import KeyPath
    from agent.config.model import Device, Port, Uplink
    from agent.config.problems import Problems


def check(
    document: Mapping[str, Any],
    uplinks: Mapping[str, Uplink],
    ports: Mapping[str, Port],
    devices: Mapping[str, Device],
    problems: Problems,
) -> None:
    """Check the tables against each other; `document` also has those that are wrong in themselves."""
    shared = _("{what} is already used by {place}; a port that is shared stands in [ports]")
    client = _("{what} is already used by {place}: the broker would close one for the other")
    _once(_pins(document), _("GPIO {what} is already used by {place}"), problems)
    _once(_paths(document), shared, problems)
    _check_addresses(devices, problems)
    _once(_clients(uplinks), client, problems)
    _check_buses(ports, devices, problems)
    for name, device in devices.items():
        for index, other in enumerate(device.sounds_for):
            if other not in document["devices"]:
                text = _("{value} is not a device").format(value=shown(other)) + nearest(other, document["devices"])
                problems.add(("devices", name, "sounds_for", index), text)
        if isinstance(device.driver, GatewayDriver):
            named = getattr(device.settings, "uplink", None)
            if named is not None and named not in uplinks:
                text = _("{value} is not an uplink").format(value=shown(named)) + nearest(named, uplinks)
                problems.add(("devices", name, "uplink"), text)
    for uplink in uplinks.values():
        _check_filter(uplink, document, devices, problems)


class _Use(NamedTuple):
    """Something of which there is one, being used."""

    what: Hashable
    name: str  # for people
    path: KeyPath


def _once(uses: Iterable[_Use], text: str, problems: Problems) -> None:
    first: dict[Hashable, KeyPath] = {}
    for use in uses:
        if use.what in first:
            place = problems.source.place(first[use.what])
            problems.add(use.path, text.format(what=use.name, place=place))
        first.setdefault(use.what, use.path)


def _pins(document: Mapping[str, Any]) -> Iterator[_Use]:
    for name, table in _tables(document, "devices"):
        for key in ("pin", "trigger", "echo"):
            if isinstance(pin := table.get(key), int):
                yield _Use(pin, str(pin), ("devices", name, key))


def _paths(document: Mapping[str, Any]) -> Iterator[_Use]:
    for name, table in _tables(document, "ports"):
        if isinstance(path := table.get("path"), str):
            yield _Use(PurePosixPath(path), path, ("ports", name, "path"))
    for name, table in _tables(document, "devices"):
        port = table.get("port")
        path = port.get("path") if isinstance(port, dict) else port
        if isinstance(path, str) and path.startswith("/"):
            yield _Use(PurePosixPath(path), path, ("devices", name, "port"))


def _tables(document: Mapping[str, Any], section: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    tables = document.get(section)
    if isinstance(tables, dict):
        yield from ((name, table) for name, table in tables.items() if isinstance(table, dict))


def _clients(uplinks: Mapping[str, Uplink]) -> Iterator[_Use]:
    for name, uplink in uplinks.items():
        for broker in uplink.brokers:
            what = (broker.host, broker.port, uplink.client_id)
            yield _Use(what, _("client id '{id}'").format(id=uplink.client_id), ("uplinks", name))


def _check_addresses(devices: Mapping[str, Device], problems: Problems) -> None:
    """An address belongs to one device of a line; the inputs or outputs of one module share that of the module."""
    text = _("{what} is already used on this port by {place}")
    first: dict[Hashable, tuple[KeyPath, object]] = {}
    parts: list[_Use] = []
    for name, device in devices.items():
        if device.bus is None or not hasattr(device.settings, "address"):
            continue
        address = device.settings.address or FIRST_MODBUS_ADDRESS
        what = _("address {address}").format(address=address)
        part = next((key for key in ("relay", "channel") if hasattr(device.settings, key)), None)
        path: KeyPath = ("devices", name, "address")
        module = part and (device.driver.name, device.driver.profile)
        other, its_module = first.setdefault((device.bus, address), (path, module))
        if part is None or module != its_module:
            if other != path:
                problems.add(path, text.format(what=what, place=problems.source.place(other)))
            continue
        number = getattr(device.settings, part)
        what = _("address {address}, {part} {number}").format(address=address, part=part, number=number)
        parts.append(_Use((device.bus, address, number), what, ("devices", name, part)))
    _once(parts, text, problems)


def _check_filter(
    uplink: Uplink, document: Mapping[str, Any], devices: Mapping[str, Device], problems: Problems
) -> None:
    """Whoever wants a part must want what there is: a misspelt name would be missed by nobody here."""
    known = dict(_tables(document, "devices"))
    for index, name in enumerate(uplink.devices or ()):
        if name not in known:
            text = _("{value} is not a device").format(value=shown(name)) + nearest(name, known)
            problems.add(("uplinks", uplink.id, "devices", index), text)
    if known.keys() != devices.keys():
        return  # those that are wrong might have it
    chosen = [device for device in devices.values() if uplink.devices is None or device.id in uplink.devices]
    measured = {quantity for device in chosen for quantity in device.driver.quantities(device.settings)}
    for index, quantity in enumerate(uplink.quantities or ()):
        if quantity not in measured:
            text = _("{value} is not a quantity of these devices").format(value=shown(quantity))
            problems.add(("uplinks", uplink.id, "quantities", index), text + nearest(quantity, measured))


def _check_buses(ports: Mapping[str, Port], devices: Mapping[str, Device], problems: Problems) -> None:
    """Whoever shares a line must answer only when asked by its address, and all must speak at the same speed."""
    users: dict[str, list[Device]] = {}
    for device in devices.values():
        if device.bus is not None:
            users.setdefault(device.bus, []).append(device)
    for bus, sharing in users.items():
        alone = [device for device in sharing if not may_share(device.driver)]
        if alone and len(sharing) > 1:
            for device in alone:
                other = next(each.id for each in sharing if each is not device)
                text = (
                    _("'{driver}' speaks unasked and cannot share '{port}' with {other}")
                    if isinstance(device.driver, ListeningDriver)
                    else _("'{driver}' has no address and cannot share '{port}' with {other}")
                )
                text = text.format(driver=device.driver.name, port=bus, other=other)
                problems.add(("devices", device.id, "port"), text)
        elif bus in ports and ports[bus].line is None:
            _check_lines(bus, sharing, problems)


def _check_lines(bus: str, sharing: Iterable[Device], problems: Problems) -> None:
    lines = {
        str(each.driver.line): each.id for each in sharing if isinstance(each.driver, PollingDriver | BusOutputDriver)
    }
    if len(lines) > 1:
        wishes = ", ".join(f"{device}: {line}" for line, device in lines.items())
        text = _("needs 'line', because its devices differ ({wishes}); set them all alike")
        problems.add(("ports", bus), text.format(wishes=wishes))
