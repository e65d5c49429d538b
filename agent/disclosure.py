"""What a receiver that is given a part of the readings may know of the gateway: `about` and `health`, cut to its part.

Each names what is passed on: what is added to a document one day stays here until somebody adds it to these lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.selection import Selection

_GATEWAY = ("gateway", "version", "label", "latitude", "longitude", "running_for", "boot", "boottime", "utc", "clock")
_DEVICE = ("driver", "model", "label", "silent_after", "state", "trouble", "faults")
_JOURNAL = ("epoch", "next")
_BY_QUANTITY = ("quantities", "values")


def part_for(uplink: str, selection: Selection, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of `about` or `health` that the receiver of an uplink is given."""
    part = {key: document[key] for key in _GATEWAY if key in document}
    part["devices"] = {
        name: _device(name, device, selection) for name, device in document["devices"].items() if selection.has(name)
    }
    if "uplinks" in document:
        part["uplinks"] = {uplink: document["uplinks"][uplink]}
    if "journal" in document:
        journal = document["journal"]
        part["journal"] = {key: journal[key] for key in _JOURNAL}
        part["journal"]["waiting"] = {uplink: journal["waiting"][uplink]}
    return part


def _device(name: str, device: Mapping[str, Any], selection: Selection) -> dict[str, Any]:
    part = {key: device[key] for key in _DEVICE if key in device}
    for key in _BY_QUANTITY:
        if key in device:
            part[key] = {one: value for one, value in device[key].items() if selection.has(name, one)}
    if "alarms" in device and selection.all_alarms:
        part["alarms"] = device["alarms"]
    return part
