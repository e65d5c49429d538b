"""Reads recorded bytes and edges with a driver: what `roadside decode` prints, and what recordings are compared with.

There is no clock in it: a recording of bytes has none, and a trace of edges brings its own.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent.config.hints import hints, least
from agent.config.problems import ConfigError, Problems, Source
from agent.i18n import _
from agent.notations import Word, Words
from drivers import registry
from drivers.contract import BusOutputDriver, Fault, InputDriver, ListeningDriver, Measurement, PollingDriver
from drivers.quantities import QUANTITIES
from drivers.settings import Pin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drivers.contract import Decoder, Driver, EdgeDecoder, Item

PLAYED_ON = 1.0  # seconds after the last edge of a trace unless told otherwise: longer than any contact bounces
LONGEST_SILENCE = 3600.0  # seconds after which no driver is waited for any longer
LEVELS = {b"0": "low", b"1": "high"}


class NothingToDecodeError(ValueError):
    """A driver reads nothing that could have been recorded."""


def settings(driver: Driver, given: Mapping[str, str]) -> Any:  # noqa: ANN401 - the driver's own
    """Return the driver's settings with values as they are written after `--set`; raises ConfigError.

    Only what matters to decoding has to be given: on which pin something hangs does not.
    """
    fields = dataclasses.fields(driver.settings)
    required = {each.name for each in fields if each.default is each.default_factory is dataclasses.MISSING}
    kinds = hints(driver.settings)
    pins: dict[str, Any] = {name: least(kinds[name]) for name in required if kinds[name] == Pin}
    if not given and required <= pins.keys():
        try:
            return driver.settings(**pins)
        except ValueError:
            pass  # it is said below in the words of the configuration
    from agent.config.overrides import override  # these bring pydantic along, which takes longer than all the rest
    from agent.config.plain import plain
    from agent.config.tables import read

    source = Source("", "")
    problems = Problems(source)
    unfit = [problem for key, value in given.items() if (problem := override(pins, source, key, value))]
    source.overrides.add(())  # nothing is from a file
    if driver.name == registry.BY_PROFILE and "profile" in given:
        from agent.config.load import check_profile
        from drivers.modbus.reading import is_path

        if is_path(given["profile"]):
            check_profile(given["profile"])
    made = read(driver.settings, plain(pins, problems), (), problems)
    if made is None or unfit:
        raise ConfigError([*problems.found.values(), *unfit])
    return made


def decoder(
    driver: Driver,
    settings: Any,  # noqa: ANN401 - the driver's own
    *,
    played_on: float | None = None,
) -> Decoder:
    """Return what reads a recording of the driver's device; raises NothingToDecodeError.

    Bytes of a serial line, or for a GPIO input the text of a trace, which is played on for so many seconds after its
    end; for `PLAYED_ON`, and until something is said of its edges, unless that is given.
    """
    if isinstance(driver, ListeningDriver):
        return driver.make(settings)
    if isinstance(driver, PollingDriver | BusOutputDriver) and driver.overhear is not None:
        return driver.overhear(settings)
    if isinstance(driver, InputDriver):
        return TraceDecoder(driver.make(settings), settings.active, played_on)
    raise NothingToDecodeError(_("'{driver}' sends nothing that could be decoded").format(driver=driver.name))


class TraceDecoder:
    """Plays a trace of edges, `milliseconds:level ...`, to a GPIO input; a `drivers.contract.Decoder` of its text.

    The first is the level at start. Levels are those of the pin, 0 or 1; `active` says which of them is closed.
    """

    def __init__(self, device: EdgeDecoder, active: str, played_on: float | None) -> None:
        self._device = device
        self._active = active
        self._played_on = played_on
        self._words = Words()
        self._at: float | None = None  # seconds; None before the first
        self._edges = False  # there was one
        self._unsaid = False  # and nothing has been said since

    def feed(self, data: bytes) -> list[Item]:
        """Take the next of the text and return what came of the edges in it; raises NotationError."""
        return [item for word in self._words.feed(data) for item in self._play(word)]

    def end(self) -> list[Item]:
        """Take the end of the trace, and let some time pass."""
        items = [item for word in self._words.end() for item in self._play(word)]
        if self._at is None:
            return items
        items += self._wait(self._at + (PLAYED_ON if self._played_on is None else self._played_on))
        while self._unsaid and self._played_on is None and (due := self._device.due()) is not None:
            if due > self._at + LONGEST_SILENCE:
                break
            items += self._wait(due)
        return items

    def _play(self, word: Word) -> Iterable[Item]:
        text, colon, level = word.text.partition(b":")
        try:
            at = float(text) / 1000
        except ValueError:
            at = -1.0
        if not (0 <= at < float("inf") and colon and level in LEVELS):
            raise word.wrong(_("an edge is written as milliseconds:level, such as 1000.05:1"))
        active = LEVELS[level] == self._active
        if self._at is None:
            self._at = at
            return self._device.start(at, active)
        if at < self._at:
            raise word.wrong(_("no edge is earlier than the one before it"))
        self._at = at
        items = self._wait(at)
        said = self._device.edge(at, active)
        self._unsaid = not said and (self._unsaid or not self._edges)
        self._edges = True
        return [*items, *said]

    def _wait(self, until: float) -> list[Item]:
        items: list[Item] = []
        while (due := self._device.due()) is not None and due <= until:
            items += self._device.tick(due)
        self._unsaid = self._unsaid and not items
        return items


def line(item: Item, units: Mapping[str, str], *, detailed: bool = False) -> str:
    """Return an item as a line of JSON; `units` are those of the driver's quantities."""
    shown = _shown(item, units)
    if detailed and isinstance(item, Fault) and item.detail:
        shown["detail"] = item.detail
    return json.dumps(shown, ensure_ascii=False)


def _shown(item: Item, units: Mapping[str, str]) -> dict[str, object]:
    if isinstance(item, Fault):
        return {"fault": item.kind, "offset": item.offset}
    if not isinstance(item, Measurement):
        return {"time": datetime.fromtimestamp(item.utc, UTC).isoformat().replace("+00:00", "Z")}
    shown: dict[str, object] = {"quantity": item.quantity, "value": item.value}
    if item.reason is not None:
        return {**shown, "reason": item.reason}
    # Of a driver that sends tracks in place of echoes the quantities of an echo are in the table alone.
    known = QUANTITIES.get(item.quantity)
    unit = units.get(item.quantity, known.unit if known else "")
    return {**shown, "unit": unit} if unit else shown
