"""What the example promises, and what it does not: `pytest -p hil.plugin --rig=hil/example/rig.toml hil/example`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hil.rigs.base import Rig


def distances(rig: Rig) -> list[int]:
    """Return the distances in millimetres that have arrived."""
    return [int(message.payload) for message in rig.city.messages if message.topic == "home/distance"]


def presses(rig: Rig) -> int:
    """Return how often a press has arrived."""
    return sum(message.topic == "home/button" for message in rig.city.messages)


@pytest.mark.needs("serial")
async def test_distances_arrive(rig: Rig) -> None:
    """What the sensor measures arrives."""
    await rig.until(lambda: len(distances(rig)) > 5)


@pytest.mark.needs("serial")
async def test_a_spoilt_frame_is_no_distance(rig: Rig) -> None:
    """A frame whose sum is wrong never becomes a distance."""
    await rig.until(lambda: len(distances(rig)) > 5)
    await rig.device("level-1").says(bytes.fromhex("ff 00 07 00"))
    before = len(distances(rig))
    await rig.until(lambda: len(distances(rig)) > before + 5)
    assert 7 not in distances(rig)


@pytest.mark.needs("gpio")
async def test_a_press_arrives(rig: Rig) -> None:
    """A press of the button arrives, once."""
    await rig.pin("button-1").press()
    await rig.until(lambda: presses(rig) == 1)


@pytest.mark.needs("link", "account")
async def test_nothing_is_lost_in_an_outage(rig: Rig) -> None:
    """Nothing is lost in an outage: skipped, for nobody can tell what such messages account for."""
    await rig.link.cut()
    await rig.link.restore()
    assert not rig.account().lost
