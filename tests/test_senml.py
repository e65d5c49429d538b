"""The wire form: golden payloads, and what holds for every one."""

import json
import os
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import senml
from agent.readings import Acknowledgement, AlarmEvent, Anchor, LedgerEntry, Reading, Stream
from agent.receiver import Receiver
from agent.timekeeper import Dated
from drivers.contract import Reason
from hil import packs
from tests.records import BOOT, EPOCH, GATEWAY, LANE_OF, instants, packed, readings, some_packs

GOLDEN = Path(__file__).parent / "golden"
WIRE = Path(__file__).parents[1] / "docs/wire.md"
BASE = 5_321_004_000_000  # boottime in nanoseconds
NOW = Dated(1_795_346_000_123_000_000, 0.1)
SECOND = 1_000_000_000


def at(seconds):
    return BASE + round(seconds * SECOND)


def head(stream, first, last, **dated):
    return {
        "bn": "pkt-0042/",
        **(dated or {"bt": 1795346000.123, "uncertainty": 0.1}),
        "n": "pack",
        "v": first,
        "last": last,
        "stream": stream,
        "epoch": EPOCH,
        "boot": BOOT,
        "boottime": 5321.004,
    }


TELEMETRY = [
    Reading("air-1", "pm2_5", at(0), 12, unit="ug/m3"),
    Reading("air-1", "pm1", at(0.25), 7.5, unit="ug/m3", partial=True),
    Reading("level-1", "water_level", at(0.4), None, Reason.NO_ECHO, unit="m"),
    Reading("door-1", "open", at(1.001), False),
    Reading("ป้าย-1", "message", at(2), 'ฝนตก "หนัก"\n'),
    Reading("air-1", "pm10", at(3), float("nan"), unit="ug/m3"),
]
AS_SENT = [
    {"n": "air-1/pm2_5", "u": "ug/m3", "v": 12, "t": 0.0},
    {"n": "air-1/pm1", "u": "ug/m3", "v": 7.5, "partial": True, "t": 0.25},
    {"n": "level-1/water_level:state", "vs": "no_echo", "t": 0.4},
    {"n": "door-1/open", "vb": False, "t": 1.001},
    {"n": "ป้าย-1/message", "vs": 'ฝนตก "หนัก"\n', "t": 2.0},
    {"n": "air-1/pm10:state", "vs": "invalid", "t": 3.0},
]
FLOOD = {"n": "level-1/water_level:alarm", "alarm": "flood", "id": "c0ffee00c0ffee00"}
# file -> how it was made, and what is in it
PAYLOADS = {
    "live.bin": (packed(Stream.TELEMETRY, TELEMETRY, first=1201), NOW, [head("telemetry", 1201, 1206), *AS_SENT]),
    "plain.json": (packed(Stream.TELEMETRY, TELEMETRY, first=1201), NOW, [head("telemetry", 1201, 1206), *AS_SENT]),
    "history.bin": (
        packed(Stream.TELEMETRY, [Reading("rain-1", "rain", at(0), 12.4, unit="mm")], first=17),
        Dated(NOW.utc, 0.123456),
        [
            head("telemetry", 17, 17, bt=1795346000.123, uncertainty=0.123),
            {"n": "rain-1/rain", "u": "mm", "v": 12.4, "t": 0.0},
        ],
    ),
    "undated-alarm.bin": (
        packed(
            Stream.ALARM,
            [
                AlarmEvent("level-1", "flood", at(0), FLOOD["id"], True, "water_level", 2.61),
                AlarmEvent("level-1", "silent", at(60), "00000000000000aa", True),
                AlarmEvent("level-1", "flood", at(90), FLOOD["id"], False, "water_level", float("inf")),
            ],
        ),
        None,
        [
            head("alarm", 1, 3, undated_=True),
            FLOOD | {"vs": "raise", "at_value": 2.61, "t": 0.0},
            {"n": "level-1:alarm", "vs": "raise", "alarm": "silent", "id": "00000000000000aa", "t": 60.0},
            FLOOD | {"vs": "clear", "t": 90.0},
        ],
    ),
    "anchors.bin": (
        packed(Stream.ANCHOR, [Anchor(BOOT, BASE, 1_795_345_979_240_000_000, 0.1, "timesyncd")], first=3),
        NOW,
        [
            head("anchor", 3, 3),
            {"n": "anchor", "boot": BOOT, "at": 5321.004, "utc": 1795345979.24, "uncertainty": 0.1}
            | {"source": "timesyncd", "t": 0.0},
        ],
    ),
    "ledger.bin": (
        packed(
            Stream.LEDGER,
            [
                LedgerEntry(BASE, "lost", "power_cut", 0, stream="telemetry", epoch="aa" * 8, first=901),
                LedgerEntry(at(1), "dropped", "card_full", 50, stream="telemetry", epoch=EPOCH, first=1, last=50),
                LedgerEntry(at(2), "damaged", "card", 1, stream="alarm", epoch=EPOCH, first=4, last=4),
                LedgerEntry(
                    at(60), "withheld", "warming_up", 9, device="air-1", quantity="pm1", since=at(-3), until=at(5.5)
                ),
            ],
        ),
        NOW,
        [
            head("ledger", 1, 4),
            {"n": "lost", "why": "power_cut", "stream": "telemetry", "epoch": "aa" * 8, "first": 901, "t": 0.0},
            {"n": "dropped", "why": "card_full", "count": 50, "stream": "telemetry", "epoch": EPOCH}
            | {"first": 1, "last": 50, "t": 1.0},
            {"n": "damaged", "why": "card", "count": 1, "stream": "alarm", "epoch": EPOCH}
            | {"first": 4, "last": 4, "t": 2.0},
            {"n": "withheld", "why": "warming_up", "count": 9, "device": "air-1", "quantity": "pm1"}
            | {"since": -3.0, "until": 5.5, "t": 60.0},
        ],
    ),
}


def made(name):
    pack, dated, _ = PAYLOADS[name]
    return senml.payload(pack, GATEWAY, dated, compress=name.endswith(".bin"))


def decoded(payload):
    """Decode as any receiver can."""
    return json.loads(zlib.decompress(payload) if payload.startswith(b"\x78") else payload)


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_golden_payloads_hold_what_is_documented_and_are_what_is_made_today(name):
    """ROADSIDE_GOLDEN=1 writes them anew."""
    if os.environ.get("ROADSIDE_GOLDEN") == "1":
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / name).write_bytes(made(name))
    expected = PAYLOADS[name][2]

    assert decoded((GOLDEN / name).read_bytes()) == expected
    assert decoded(made(name)) == expected


def test_there_is_no_golden_payload_that_nobody_checks():
    assert {path.name for path in GOLDEN.iterdir() if path.is_file()} == set(PAYLOADS)


def test_the_specification_names_every_field_and_no_other_head():
    text = WIRE.read_text()
    example = re.search(r'\{"bn".*?\}', text.replace("...32 hex digits", ""), re.DOTALL)
    documented = set(re.findall(r"`(\w+)`", text)) | set(re.findall(r'"(\w+)":', text))

    assert json.loads(example[0]).keys() == head("telemetry", 1, 1).keys()
    for _, _, items in PAYLOADS.values():
        for item in items:
            assert set(item) <= documented


def test_the_first_byte_tells_a_deflated_payload_from_a_plain_one():
    assert {name: made(name)[:1] for name in ("live.bin", "plain.json")} == {"live.bin": b"\x78", "plain.json": b"["}


@settings(max_examples=150)
@given(some_packs(), st.booleans(), st.booleans())
def test_whatever_is_packed_comes_out_as_strict_json_the_same_in_number_order_and_time(drawn, compress, dated):
    pack, records = drawn
    payload = senml.payload(pack, GATEWAY, NOW if dated else None, compress=compress)

    text = (zlib.decompress(payload) if compress else payload).decode()
    first, *items = json.loads(text, parse_constant=pytest.fail)

    assert (first["v"], first["last"], len(items)) == (pack.first, pack.last, len(records))
    for record, item in zip(records, items, strict=True):
        of_its_own = not isinstance(record, Anchor)  # an anchor's `at` may be an instant of another boot
        assert item["t"] == pytest.approx((record.at - pack.base) / SECOND if of_its_own else 0, abs=0.0006)
        if isinstance(record, Reading):
            assert said(item) == expected_value(record)


@given(readings, st.text(max_size=8), instants)
def test_a_reading_put_together_by_hand_is_what_the_json_module_makes_of_its_fields(reading, device, base):
    reading.device = device
    value = expected_value(reading)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_state = value is not reading.value and not isinstance(reading.value, str)
    fields = {
        "n": f"{device}/{reading.quantity}:state" if is_state else f"{device}/{reading.quantity}",
        **({"u": reading.unit} if reading.unit and is_number else {}),
        "v" if is_number else "vb" if isinstance(value, bool) else "vs": value,
        **({"test_": True} if reading.test else {}),
        **({"partial": True} if reading.partial else {}),
    }

    made = senml.encode([reading], base).decode()
    before, time = made.rsplit(',"t":', 1)

    assert before == json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[:-1]
    assert re.fullmatch(r"-?\d+\.\d{3}}", time)
    assert float(time[:-1]) == pytest.approx((reading.at - base) / SECOND, abs=0.0006)


@settings(max_examples=100)
@given(some_packs(), st.booleans())
def test_two_receivers_written_apart_read_the_same(drawn, compress):
    pack, _ = drawn
    lane = LANE_OF[pack.stream]
    payload = senml.payload(pack, GATEWAY, NOW, compress=compress)

    ours = Receiver().take(f"roadside/v1/{GATEWAY}/{lane}", payload)
    theirs = packs.unpack(GATEWAY, lane, payload, arrived=0.0)

    assert [(one.series.epoch, one.series.stream, one.number, one.utc, one.uncertainty) for one in ours] == [
        (one.epoch, one.stream, one.number, one.utc, one.uncertainty) for one in theirs
    ]


@given(st.binary(), st.binary(max_size=2000))
def test_two_sums_combine_to_the_sum_of_both_pieces_joined(first, second):
    combined = senml.combine_adler(zlib.adler32(first), zlib.adler32(second), len(second))

    assert combined == zlib.adler32(first + second)


def test_two_sums_combine_also_when_the_second_piece_is_longer_than_the_modulus():
    first, second = b"\xff" * 70_000, b"\xfe" * 140_001

    assert senml.combine_adler(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(first + second)


def said(item):
    return next((item[key] for key in ("v", "vb", "vs") if key in item), None)


def expected_value(reading):
    value = reading.value
    if value is None or (isinstance(value, float) and value - value != 0):
        return reading.reason.value if reading.reason else "invalid"
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def test_an_undated_pack_may_say_what_it_is_later_than():
    pack = packed(Stream.TELEMETRY, [Reading("air-1", "pm1", at(0), 1)])
    first, _ = json.loads(senml.payload(pack, GATEWAY, None, not_before=1_795_000_000_500_000_000, compress=False))

    assert (first["undated_"], first["not_before"]) == (True, 1_795_000_000.5)
    assert "bt" not in first


def test_an_alarm_is_acknowledged_under_its_name_and_id():
    record = Acknowledgement("level-1", "flood", at(1.5), FLOOD["id"], "somchai", "water_level")
    assert json.loads(senml.encode([record], BASE)) == FLOOD | {"vs": "acknowledge", "by": "somchai", "t": 1.5}


def test_what_is_a_test_must_be_understood_as_one():
    records = [
        Reading("air-1", "pm1", at(0), 7, unit="ug/m3", test=True),
        AlarmEvent("level-1", "flood", at(0), FLOOD["id"], True, "water_level", test=True),
        Acknowledgement("level-1", "flood", at(0), FLOOD["id"], "somchai", "water_level", test=True),
    ]
    assert [one["test_"] for one in json.loads(b"[%s]" % senml.encode(records, BASE))] == [True, True, True]
