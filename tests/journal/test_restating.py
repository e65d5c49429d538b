"""What entries of the ledger say of numbers, said again in fewer."""

from hypothesis import given
from hypothesis import strategies as st

from agent.journal.packing import encode_append, start
from agent.journal.restating import restate
from agent.readings import LedgerEntry, Stream
from tests.journal.conftest import BOOT

EPOCHS, UPLINKS = ["e" * 16, "f" * 16], ["", "city", "agency"]
NOW = 7_000_000_000


def entry(kind, first, size, epoch, uplink):
    last = 0 if kind == "lost" else first + size
    count = size + 1 if kind == "dropped" else 0
    return LedgerEntry(5, kind, "why", count, stream="alarm", epoch=epoch, first=first, last=last, uplink=uplink)


entries = st.builds(
    entry,
    st.sampled_from(["dropped", "lost", "skipped"]),
    st.integers(1, 30),
    st.integers(0, 3),
    st.sampled_from(EPOCHS),
    st.sampled_from(UPLINKS),
)


def pack_of(said):
    withheld = LedgerEntry(5, "withheld", "deadband", 3, "air-1", "pm2_5", 4, 5)
    pack = start(Stream.LEDGER, 1, 0)
    _, records = encode_append(pack, [*said, withheld])
    pack.add(records, len(said) + 1)
    return pack.close(EPOCHS[0], BOOT)


def told(said, uplink):
    """Return what a receiver knows afterwards: numbers that will not come, and from which on none will."""
    mine = [one for one in said if one.uplink in {"", uplink}]
    numbers = {(one.kind, one.epoch, n) for one in mine if one.last for n in range(one.first, one.last + 1)}
    ends = {
        epoch: min(one.first for one in mine if one.epoch == epoch and not one.last)
        for epoch in {one.epoch for one in mine if not one.last}
    }
    return numbers, ends


@given(st.lists(st.lists(entries, max_size=5), max_size=3))
def test_everybody_is_told_the_same_in_no_more_entries(packs):
    said = [one for pack in packs for one in pack]
    again = restate(map(pack_of, packs), "", NOW)

    for uplink in ("city", "agency"):
        assert told(again, uplink) == told(said, uplink)
    assert len(again) <= len(said)
    assert all(one.at == NOW and one.count == (one.last - one.first + 1) * (one.kind == "dropped") for one in again)


@given(st.lists(entries, max_size=8))
def test_one_uplink_alone_is_told_what_it_has_to_know(said):
    again = restate([pack_of(said)], "city", NOW)

    assert told(again, "city") == told(said, "city")
    assert {one.uplink for one in again} <= {"city"}
