"""What was found at a port, as a part of a configuration: all else is a comment, so that all of it can be pasted."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from agent.i18n import _
from agent.probing.evidence import Sureness
from drivers import registry
from drivers.contract import N_, BusOutputDriver, SerialDriver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.probing.evidence import Match
    from agent.probing.probe import Found, OnBus
    from drivers.contract import SerialLine

WORDS = {
    Sureness.SURE: N_("sure"),
    Sureness.LIKELY: N_("likely"),
    Sureness.MAYBE: N_("perhaps"),
}
SHOWN = 16  # bytes of what nobody understood


class Names:
    """Gives out names for devices that are not in use yet."""

    def __init__(self, used: Mapping[str, object]) -> None:
        self._used = set(used)
        self._counts: Counter[str] = Counter()

    def new(self, stem: str) -> str:
        """Return the next name, such as `plantower-1`."""
        while True:
            self._counts[stem] += 1
            name = f"{stem.replace('_', '-')}-{self._counts[stem]}"
            if name not in self._used:
                self._used.add(name)
                return name


def lines(path: str, found: Found, names: Names, *, has_speed: bool) -> Iterator[str]:
    """Yield what was found at a port."""
    yield f"# {path}: {_headline(found)}"
    if found.anything and not has_speed:
        yield "# " + _("a pseudo-terminal has no speed: the one named is that of the device when it is new")
    if not found.complete:
        yield "# " + _("not all was tried")
    if found.matches:
        yield from _alone(path, found, names)
    if found.devices and found.line is not None:
        yield from _bus(path, found.line, found.devices, names)


def _headline(found: Found) -> str:
    if found.is_busy:
        return _("{line}: somebody else asks Modbus devices here, so that nothing was asked").format(line=found.line)
    if found.devices:
        text = _("{line}: Modbus devices at {addresses}")
        return text.format(line=found.line, addresses=", ".join(str(device.address) for device in found.devices))
    if found.matches:
        return str(found.line)
    if found.heard:
        line, data = max(found.heard.items(), key=lambda item: len(item[1]))
        text = _("something speaks that no driver understands; at {line}: {bytes}")
        return text.format(line=line, bytes=data[:SHOWN].hex(" ").upper())
    return _("nothing was heard; a radar beside an empty road says nothing, either")


def _alone(path: str, found: Found, names: Names) -> Iterator[str]:
    best, *others = found.matches
    for match in found.matches:
        yield f"# {_judged(match)}"
    driver = _serial(best.driver)
    yield f"[devices.{names.new(best.driver)}]"
    yield f"driver = {json.dumps(best.driver)}"
    yield from (f"# driver = {json.dumps(other.driver)}" for other in others)
    if found.line in (None, driver.line):
        yield f"port = {json.dumps(path)}"
    else:
        yield f"port = {{ path = {json.dumps(path)}, line = {json.dumps(str(found.line))} }}"
    yield from (f"{key} = {value}" for key, value in best.given.items())


def _bus(path: str, line: SerialLine, devices: list[OnBus], names: Names) -> Iterator[str]:
    bus = names.new("rs485")
    yield f"[ports.{bus}]"
    yield f"path = {json.dumps(path)}"
    yield f"line = {json.dumps(str(line))}"
    for device in devices:
        yield ""
        yield "# " + _("address {address}").format(address=device.address)
        if not device.matches:
            yield "# " + _("no profile fits it; docs/modbus-profiles.md tells how to write one")
            continue
        for match in device.matches:
            yield f"# {_judged(match)}"
        best = device.matches[0]
        yield f"[devices.{names.new(best.driver)}]"
        yield f"driver = {json.dumps(best.driver)}"
        yield from (f"# driver = {json.dumps(other.driver)}" for other in device.matches[1:])
        yield f"port = {json.dumps(bus)}"
        yield f"address = {device.address}"
        if isinstance(_serial(best.driver), BusOutputDriver):
            yield "relay = 1 # " + _("which of its outputs")


def _judged(match: Match) -> str:
    driver = registry.load(match.driver)
    text = _("{driver}, {sureness}: {frames} good, {faults} bad; {title}")
    return text.format(
        driver=match.driver,
        sureness=_(WORDS[match.sureness]),
        frames=match.frames,
        faults=match.faults,
        title=_(driver.title),
    )


def _serial(name: str) -> SerialDriver:
    driver = registry.load(name)
    assert isinstance(driver, SerialDriver)  # noqa: S101 - nothing else is found at a serial port
    return driver
