import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.readings import LedgerEntry
from agent.withheld import Withheld


def test_what_is_withheld_is_counted_by_device_quantity_and_why():
    withheld = Withheld()
    for at in (7, 9, 5):
        withheld.add("air-1", "pm10", "deadband", at)
    withheld.add("air-1", "pm10", "warming_up", 1)
    withheld.add("level-1", "water_level", "deadband", 2)
    assert withheld.take(10) == [
        LedgerEntry(10, "withheld", "deadband", 3, device="air-1", quantity="pm10", since=5, until=9),
        LedgerEntry(10, "withheld", "warming_up", 1, device="air-1", quantity="pm10", since=1, until=1),
        LedgerEntry(10, "withheld", "deadband", 1, device="level-1", quantity="water_level", since=2, until=2),
    ]
    assert withheld.take(11) == []
    assert withheld.memory("air-1") == []


@pytest.mark.parametrize("nonsense", [[1], [["pm10", "deadband", 1, 2]], [["pm10", "deadband", 1, 2, None]]])
def test_a_memory_that_is_none_is_refused_whole(nonsense):
    withheld = Withheld()
    with pytest.raises(ValueError, match="air-1"):
        withheld.recall("air-1", [["pm10", "window", 1, 2, 3], *nonsense])
    assert withheld.take(1) == []


ADDS = st.tuples(st.just("add"), st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]), st.sampled_from(["u", "v"]))


@given(st.lists(ADDS | st.tuples(st.sampled_from(["take", "kill"]))))
def test_every_measurement_is_in_one_tally_whatever_kills_come_between(steps):
    withheld = Withheld()
    counted = added = 0
    for at, (step, *what) in enumerate(steps):
        if step == "add":
            withheld.add(*what, at)
            added += 1
        elif step == "take":
            counted += sum(entry.count for entry in withheld.take(at))
        else:
            kept = {device: json.dumps(withheld.memory(device)) for device in ("a", "b")}
            withheld = Withheld()
            for device, memory in kept.items():
                withheld.recall(device, json.loads(memory))
    entries = withheld.take(len(steps))
    assert counted + sum(entry.count for entry in entries) == added
    assert all(0 <= entry.since <= entry.until < entry.at for entry in entries)
