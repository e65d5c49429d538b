"""The ways up of a gateway: a publisher for each uplink, and the documents that all of them carry."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from agent import logs, senml
from agent.readings import Stream
from agent.uplink.publisher import Publisher
from agent.uplink.route import Backup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.config.model import Config, Uplink
    from agent.journal.journal import Journal
    from agent.journal.pack import Outbox, Pack
    from agent.selection import Selection
    from agent.timekeeper import Timekeeper
    from agent.uplink.budget import Budget
    from agent.uplink.publisher import Presence
    from agent.world import World
    from drivers.seams import LinkCounts

    # Hands what an earlier run kept under a name to whoever understands it, and survives it if nobody does.
    TakeUp = Callable[[str, Callable[[Any], None]], None]

PROBE = "-probe"  # after the client id, where a connection is to show no more than that the first broker holds it


class Publishing:
    """The publishers of one gateway, by uplink, each with its own part, progress, budget and encoding."""

    def __init__(
        self, config: Config, world: World, journal: Journal, timekeeper: Timekeeper, *, version: str, take_up: TakeUp
    ) -> None:
        self._config = config
        self._world = world
        self._clock = world.clock
        self._journal = journal
        self._timekeeper = timekeeper
        self._version = version
        self._take_up = take_up
        self._started = self._clock.boottime()
        self._selections = {name: _selection(uplink) for name, uplink in config.uplinks.items() if uplink.filtered}
        self.publishers = {name: self._publisher(uplink) for name, uplink in config.uplinks.items()}

    @property
    def online(self) -> bool:
        """Whether any broker is connected."""
        return any(publisher.online for publisher in self.publishers.values())

    def link(self, uplink: str | None) -> LinkCounts:
        """Return how an uplink is doing; the first one unless named."""
        return self.publishers[next(iter(self.publishers)) if uplink is None else uplink].link()

    def poke(self) -> None:
        """Have all look again: what was held back may be datable now, or held for long enough."""
        for publisher in self.publishers.values():
            publisher.poke()

    def publish(self, topic: str, document: Mapping[str, Any], *, retain: bool) -> None:
        """Publish a document of the gateway, to each uplink what it may see of it."""
        whole = _encoded(document)
        for name, publisher in self.publishers.items():
            selection = self._selections.get(name)
            payload = whole if selection is None else _part(name, selection, document)
            publisher.publish_document(topic, payload, retain=retain)

    def publish_about(self) -> None:
        """Publish what the gateway is, and which devices it has."""
        gateway = self._config.gateway
        about: dict[str, Any] = {"gateway": gateway.id, "version": self._version, "devices": {}}
        if gateway.label is not None:
            about["label"] = {"en": gateway.label.en, "th": gateway.label.th}
        if gateway.latitude is not None:
            about["latitude"], about["longitude"] = gateway.latitude, gateway.longitude
        for name, device in self._config.devices.items():
            about["devices"][name] = {
                "driver": device.driver.name,
                "model": device.driver.title,
                "quantities": dict(device.driver.quantities(device.settings)),
                "silent_after": device.silent_after,
            }
            if device.label is not None:
                about["devices"][name]["label"] = {"en": device.label.en, "th": device.label.th}
        self.publish("about", about, retain=True)

    def publish_commissioning(self, report: Mapping[str, Any]) -> None:
        """Publish the report of the last commissioning: signed as a whole, so that who gets a part gets none of it."""
        for name, publisher in self.publishers.items():
            if name not in self._selections:
                publisher.publish_document("commissioning", _encoded(report), retain=True)

    # --- parts of a publisher --------------------------------------------------------------------------------------

    def _publisher(self, uplink: Uplink) -> Publisher:
        first, *second = uplink.brokers
        return Publisher(
            uplink,
            self._config.gateway.id,
            self._outbox(uplink),
            self._world.broker(first),
            backup=self._backup(first, second[0]) if second else None,
            budget=self._budget(uplink),
            encode=self._encoder(uplink),
            status=self._status,
            random=self._world.random,
            log=logs.get("uplink"),
        )

    def _outbox(self, uplink: Uplink) -> Outbox:
        outbox = self._journal.outbox(uplink.id)
        selection = self._selections.get(uplink.id)
        if selection is None:
            return outbox
        from agent.uplink.filtering import FilteredOutbox

        below = f"left_out/{uplink.id}/"
        filtered = FilteredOutbox(
            outbox, selection, self._clock, keep=lambda epoch, value: self._journal.keep(below + epoch, value)
        )
        for name in self._journal.kept_below(below):
            self._take_up(name, partial(filtered.recall, name.removeprefix(below)))
        return filtered

    def _budget(self, uplink: Uplink) -> Budget | None:
        if uplink.daily_budget is None:
            return None
        from agent.uplink.budget import Budget

        name = f"budget/{uplink.id}"
        keep = partial(self._journal.keep, name)
        budget = Budget(uplink.daily_budget, uplink.alarm_reserve, self._clock, utc=self._timekeeper.utc, keep=keep)
        self._take_up(name, budget.recall)
        return budget

    def _backup(self, first: Uplink, second: Uplink) -> Backup:
        probing = replace(first, client_id=first.client_id + PROBE)
        return Backup(self._world.broker(second), self._world.broker(probing))

    def _status(self, presence: Presence) -> bytes:
        """Return the retained status: what the city sees first of a gateway."""
        status: dict[str, Any] = {"state": presence.value, "version": self._version, "boot": self._clock.boot}
        if (dated := self._timekeeper.now()) is not None:
            status |= {"since": round(dated.utc / 1e9, 3), "uncertainty": float(f"{dated.uncertainty:.3g}")}
        return _encoded(status)

    def _encoder(self, uplink: Uplink) -> Callable[[Pack], bytes | None]:
        """Return what makes a payload of a pack, or None while it is held back until it can be dated."""
        hold = round(self._config.journal.hold_undated * 1e9)
        compress = uplink.compression == "deflate"

        def encode(pack: Pack) -> bytes | None:
            dated = self._timekeeper.date(pack.boot, pack.base)
            # Once this boot is dated, an earlier one that is not by now will never be.
            may_be_dated = dated is None and self._timekeeper.now() is None
            if may_be_dated and pack.stream is Stream.TELEMETRY and self._clock.boottime() < self._started + hold:
                return None
            not_before = self._timekeeper.not_before(pack.boot, pack.base) if dated is None else None
            return senml.payload(
                pack, self._config.gateway.id, dated, not_before=not_before, compress=compress, uplink=uplink.id
            )

        return encode


def _part(uplink: str, selection: Selection, document: Mapping[str, Any]) -> bytes:
    from agent.disclosure import part_for

    return _encoded(part_for(uplink, selection, document))


def _selection(uplink: Uplink) -> Selection:
    from agent.selection import Selection  # few gateways have one

    return Selection(uplink)


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
