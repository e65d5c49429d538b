"""The reference receiver: doubles, order, dates, completeness, and messages from hell."""

import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import senml
from agent.readings import Anchor, LedgerEntry, Reading, Stream
from agent.receiver import LARGEST, NotUnderstoodError, Receiver, Series
from agent.timekeeper import Dated
from tests.records import BOOT, EPOCH, GATEWAY, LANE_OF, packed, some_packs

SECOND = 1_000_000_000
BASE = 100 * SECOND
NOW = Dated(1_795_346_000 * SECOND, 0.1)
TELEMETRY = Series(GATEWAY, EPOCH, "telemetry")


def topic(lane, gateway=GATEWAY):
    return f"roadside/v1/{gateway}/{lane}"


def reading(value, at=BASE):
    return Reading("air-1", "pm2_5", at, value, unit="ug/m3")


def telemetry(first, last, dated=NOW, base=BASE):
    records = [reading(number, base + (number - first) * SECOND) for number in range(first, last + 1)]
    return senml.payload(packed(Stream.TELEMETRY, records, first=first), GATEWAY, dated)


def ledger(number, kind, first, last=0, epoch=EPOCH, uplink="", over=""):
    entry = LedgerEntry(BASE, kind, "why", last, stream="telemetry", epoch=epoch, first=first, last=last, uplink=uplink)
    return senml.payload(packed(Stream.LEDGER, [entry], first=number), GATEWAY, NOW, uplink=over)


def anchor(at, utc, uncertainty=0.1, number=1):
    made = Anchor(BOOT, at, utc, uncertainty, "kernel")
    return senml.payload(packed(Stream.ANCHOR, [made], first=number), GATEWAY, Dated(utc, uncertainty))


def numbers(records):
    return [one.number for one in records]


# --- doubles and order ---------------------------------------------------------------------------------------------


def test_records_come_numbered_named_and_dated():
    first, second = Receiver().take(topic("live"), telemetry(7, 8))

    assert (first.series, first.number, first.name, first.fields["v"]) == (TELEMETRY, 7, "air-1/pm2_5", 7)
    assert (first.utc, second.utc, first.uncertainty) == (1_795_346_000, 1_795_346_001, 0.1)


def test_doubles_are_dropped_and_counted_also_where_packs_overlap_and_topics_differ():
    receiver = Receiver()
    receiver.take(topic("live"), telemetry(1, 5))

    assert numbers(receiver.take(topic("history"), telemetry(1, 5))) == []
    assert numbers(receiver.take(topic("history"), telemetry(4, 8))) == [6, 7, 8]
    assert receiver.accounts[TELEMETRY].doubled == 7


def test_the_same_numbers_of_another_gateway_are_no_doubles():
    receiver = Receiver()
    receiver.take(topic("live"), telemetry(1, 2))
    other = senml.payload(packed(Stream.TELEMETRY, [reading(1)]), "pkt-0043", NOW)

    assert numbers(receiver.take(topic("live", "pkt-0043"), other)) == [1]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=12))
def test_every_number_comes_once_whatever_arrives_again(arrivals):
    receiver = Receiver()
    came = []
    for first, more in arrivals:
        came += numbers(receiver.take(topic("history"), telemetry(first, first + more)))

    wanted = {number for first, more in arrivals for number in range(first, first + more + 1)}
    assert sorted(came) == sorted(wanted)


# --- dates ---------------------------------------------------------------------------------------------------------


def test_what_came_undated_is_returned_at_once_and_again_with_its_date_when_the_anchor_comes():
    receiver = Receiver()
    at_once = receiver.take(topic("live"), telemetry(1, 2, dated=None))
    later = receiver.take(topic("anchors"), anchor(BASE + 1000 * SECOND, 1_795_346_000 * SECOND))

    assert [(one.utc, one.was_undated) for one in at_once] == [(None, False)] * 2
    dated = [one for one in later if one.lane == "live"]
    assert [(one.number, one.utc, one.was_undated) for one in dated] == [
        (1, 1_795_345_000.0, True),
        (2, 1_795_345_001.0, True),
    ]
    assert dated[0].uncertainty == pytest.approx(0.1 + 1e-4 * 1000)


def test_the_nearest_anchor_of_the_boot_dates_what_comes_undated_after_it():
    receiver = Receiver()
    receiver.take(topic("anchors"), anchor(BASE - 50 * SECOND, 1_000 * SECOND, number=1))
    receiver.take(topic("anchors"), anchor(BASE - 10 * SECOND, 1_040 * SECOND, number=2))

    (one,) = receiver.take(topic("alarms"), telemetry(1, 1, dated=None))

    assert (one.utc, one.uncertainty) == (1050.0, pytest.approx(0.101))


def test_between_two_anchors_the_line_between_them_dates_in_whatever_order_they_came():
    receiver = Receiver()
    receiver.take(topic("anchors"), anchor(BASE + 1000 * SECOND, 3_000_080_000_000, number=2))
    receiver.take(topic("anchors"), anchor(BASE - 1000 * SECOND, 1_000 * SECOND, number=1))

    (one,) = receiver.take(topic("alarms"), telemetry(1, 1, dated=None))

    assert (one.utc, one.uncertainty) == (2000.04, pytest.approx(0.1 + 30e-6 * 1000))


def test_anchors_that_contradict_each_other_make_what_lies_between_them_as_uncertain_as_that():
    receiver = Receiver()
    receiver.take(topic("anchors"), anchor(BASE - 10 * SECOND, 1_000 * SECOND, number=1))
    receiver.take(topic("anchors"), anchor(BASE + 10 * SECOND, 8_220 * SECOND, number=2))  # two hours later

    (one,) = receiver.take(topic("alarms"), telemetry(1, 1, dated=None))

    assert one.uncertainty > 7_200


def test_an_estimate_dates_what_an_earlier_boot_sent_undated_and_says_how_little_that_is_worth():
    receiver = Receiver()
    receiver.take(topic("alarms"), telemetry(1, 1, dated=None))
    *_, late = receiver.take(topic("anchors"), anchor(0, 1_795_000_000 * SECOND, uncertainty=5_400.0))

    assert (late.was_undated, late.utc) == (True, 1_795_000_100.0)
    assert late.uncertainty == pytest.approx(5_400.01)


def test_a_backlog_that_comes_late_keeps_its_own_dates_and_lane():
    receiver = Receiver()
    receiver.take(topic("live"), telemetry(100, 100, dated=NOW))
    hour_ago = Dated(NOW.utc - 3600 * SECOND, 0.1)
    late = receiver.take(topic("history"), telemetry(1, 3, dated=hour_ago))

    assert {one.lane for one in late} == {"history"}
    assert all(one.utc <= NOW.utc / SECOND - 3590 for one in late)


# --- completeness --------------------------------------------------------------------------------------------------


def test_a_gap_is_missing_until_it_comes():
    receiver = Receiver()
    receiver.take(topic("live"), telemetry(1, 3))
    receiver.take(topic("live"), telemetry(6, 8))
    assert receiver.accounts[TELEMETRY].missing() == [(4, 5)]

    receiver.take(topic("history"), telemetry(4, 5))
    assert receiver.accounts[TELEMETRY].missing() == []


@pytest.mark.parametrize("kind", ["dropped", "damaged"])
def test_what_the_ledger_gave_up_is_not_missing(kind):
    receiver = Receiver()
    receiver.take(topic("live"), telemetry(1, 3))
    receiver.take(topic("live"), telemetry(8, 9))
    receiver.take(topic("ledger"), ledger(1, kind, 4, 6))

    assert receiver.accounts[TELEMETRY].missing() == [(7, 7)]


def test_what_was_given_up_for_another_uplink_alone_is_missing_here_and_not_there():
    missing = {}
    for over in ("city", "agency"):
        receiver = Receiver()
        receiver.take(topic("live"), telemetry(1, 3))
        receiver.take(topic("live"), telemetry(7, 9))
        receiver.take(topic("ledger"), ledger(1, "dropped", 4, 6, uplink="agency", over=over))
        missing[over] = receiver.accounts[TELEMETRY].missing()

    assert missing == {"city": [(4, 6)], "agency": []}


def test_what_a_power_cut_took_is_not_missing_but_what_came_before_it_is():
    receiver = Receiver()
    for first, last in ((1, 3), (5, 6), (9, 9)):
        receiver.take(topic("live"), telemetry(first, last))
    receiver.take(topic("ledger"), ledger(1, "lost", 7))

    assert receiver.accounts[TELEMETRY].missing() == [(4, 4)]


def test_withheld_measurements_never_had_numbers():
    receiver = Receiver()
    entry = LedgerEntry(BASE, "withheld", "deadband", 9, device="air-1", quantity="pm1", since=BASE, until=BASE)
    (one,) = receiver.take(topic("ledger"), senml.payload(packed(Stream.LEDGER, [entry], first=1), GATEWAY, NOW))

    assert (one.name, one.fields["count"]) == ("withheld", 9)
    assert list(receiver.accounts) == [Series(GATEWAY, EPOCH, "ledger")]


# --- what is not understood ----------------------------------------------------------------------------------------


def sent(**changes):
    """Return a plain pack of one record; `head` and `item` change, or with ... remove, fields."""
    head, item = json.loads(zlib.decompress(telemetry(1, 1)))
    for part, fields in (("head", changes.get("head", {})), ("item", changes.get("item", {}))):
        target = head if part == "head" else item
        for name, value in fields.items():
            if value is ...:
                target.pop(name, None)
            else:
                target[name] = value
    return json.dumps([head, item]).encode()


def test_a_field_that_must_be_understood_and_is_not_refuses_the_whole_pack():
    receiver = Receiver()
    for payload in (sent(head={"encrypted_": True}), sent(item={"relative_": 1})):
        with pytest.raises(NotUnderstoodError, match="_"):
            receiver.take(topic("live"), payload)

    assert numbers(receiver.take(topic("live"), sent(head={"new": 1}, item={"new": 2}))) == [1]


@pytest.mark.parametrize(
    "changes",
    [
        {part: {name: value}}
        for part, names in (
            ("head", ("bn", "bt", "uncertainty", "n", "v", "last", "stream", "epoch", "boot", "boottime")),
            ("item", ("n", "t", "v")),
        )
        for name in names
        for value in (None, [], {}, True, 10**400)
    ],
    ids=str,
)
def test_a_field_of_the_wrong_type_refuses_the_whole_pack_and_takes_nothing(changes):
    receiver = Receiver()

    with pytest.raises(NotUnderstoodError):
        receiver.take(topic("live"), sent(**changes))

    assert receiver.accounts == {}


@pytest.mark.parametrize("lane", ["status", "do/restart", "", "live/more"])
def test_other_topics_are_not_packs(lane):
    with pytest.raises(NotUnderstoodError):
        Receiver().take(topic(lane), telemetry(1, 1))


@pytest.mark.parametrize("payload", [b"[" * 100_000, b'[{"a":' * 20_000, b"[{}, NaN]", b"[" + b"9" * 5000 + b"]"])
def test_json_that_breaks_parsers_is_refused(payload):
    with pytest.raises(NotUnderstoodError):
        Receiver().take(topic("live"), payload)


def test_a_bomb_is_refused_before_it_has_grown():
    bomb = zlib.compress(b" " * (4 * LARGEST), 9)

    with pytest.raises(NotUnderstoodError, match="too large"):
        Receiver().take(topic("live"), bomb)


def test_bytes_behind_the_end_are_refused():
    with pytest.raises(NotUnderstoodError, match="after its end"):
        Receiver().take(topic("live"), telemetry(1, 1) + b"x")


def only_not_understood(receiver, lane, payload):
    try:
        receiver.take(topic(lane), payload)
    except NotUnderstoodError:
        return


lanes = st.sampled_from(sorted(LANE_OF.values()))
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200)
@given(lanes, st.binary(max_size=200) | st.binary(max_size=200).map(zlib.compress))
def test_any_bytes_do_no_harm(lane, payload):
    only_not_understood(Receiver(), lane, payload)


@settings(max_examples=200)
@given(some_packs(), st.data())
def test_a_pack_with_any_field_put_out_of_order_does_no_harm_and_nor_does_what_follows(drawn, data):
    pack, _ = drawn
    lane = LANE_OF[pack.stream]
    good = senml.payload(pack, GATEWAY, None, compress=False)
    items = json.loads(good)
    item = data.draw(st.sampled_from(items))
    item[data.draw(st.sampled_from(sorted(item)) | st.text(max_size=3))] = data.draw(jsons)
    receiver = Receiver()

    only_not_understood(receiver, lane, json.dumps(items).encode())
    only_not_understood(receiver, lane, good)
    only_not_understood(receiver, "anchors", anchor(BASE, 1_000 * SECOND))
    for account in receiver.accounts.values():
        account.missing()


@given(some_packs(), st.data())
def test_a_flipped_bit_never_goes_through(drawn, data):
    payload = bytearray(senml.payload(drawn[0], GATEWAY, NOW))
    bit = data.draw(st.integers(0, len(payload) * 8 - 1))
    payload[bit // 8] ^= 1 << bit % 8
    receiver = Receiver()

    only_not_understood(receiver, "live", bytes(payload))

    assert receiver.accounts == {} or zlib.decompress(payload) == zlib.decompress(senml.payload(drawn[0], GATEWAY, NOW))
