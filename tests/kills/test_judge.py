"""The judges themselves: what is wrong does not pass them."""

import json

import pytest

from agent.journal.frames import Kind, frame
from agent.journal.opening import encode_done
from agent.journal.packing import encode_append, start
from agent.journal.ranges import Ranges
from agent.journal.state import State
from agent.readings import Reading, Stream
from tests.kills.acknowledged import unacknowledged
from tests.kills.judge import Number, Truth
from tests.kills.trace import Trace

EPOCH = "9f0c5a7d31e2b846"
READINGS = [Reading("count-1", "count", 10**9 * at, float(at)) for at in (1, 2, 3)]
PACK = [{"n": "pack", "epoch": EPOCH, "stream": "telemetry", "v": 1, "last": 3}, {}, {}, {}]
DONE = frame(Kind.DONE, encode_done({("city", (EPOCH, Stream.TELEMETRY)): Ranges([(1, 3)])}))


def text(data):
    return "".join(f"\\x{byte:02x}" for byte in data)


def call(name, on, data):
    """Return a line as strace writes it."""
    rest = ", 0" if name == "pwrite64" else ", 0, NULL, 0"
    return f'{name}(7<{text(str(on).encode())}>, "{text(data)}", {len(data)}{rest}) = {len(data)}'


def traced(folder, *lines):
    folder.mkdir()
    (folder / "trace.1").write_text("\n".join(lines) + "\n", "ascii")
    return Trace(folder)


def written():
    """Return a file of the young end with three readings in it."""
    pack = start(Stream.TELEMETRY, 1, READINGS[0].at)
    payload, _body = encode_append(pack, READINGS)
    return frame(Kind.SNAPSHOT, State(EPOCH, "0b" * 16).snapshot()) + frame(Kind.APPEND, payload)


@pytest.fixture
def young(tmp_path):
    young = tmp_path / "run/roadside/young/0000000001.young"
    young.parent.mkdir(parents=True)
    (tmp_path / "var/lib/roadside/journal").mkdir(parents=True)
    young.write_bytes(written())
    return young


@pytest.fixture
def truth(tmp_path, young):
    truth = Truth(tmp_path)
    made = f'openat(AT_FDCWD</>, "{text(str(young).encode())}", O_WRONLY|O_CREAT|O_TRUNC, 0640) = 7'
    truth.take(traced(tmp_path / "trace", made, call("pwrite64", young, written())))
    assert not truth.faults
    return truth


def test_what_was_written_and_is_there_passes(truth):
    truth.check_files()
    assert not truth.faults
    assert [truth.records[Number(EPOCH, "telemetry", number)]["v"] for number in (1, 2, 3)] == [1.0, 2.0, 3.0]


def test_a_record_that_is_not_there_any_more_is_lost(truth, young):
    young.write_bytes(written()[: -len(DONE)])
    truth.check_files()
    assert any("[(1, 3)] are lost" in fault for fault in truth.faults)
    assert any("would be used again" in fault for fault in truth.faults)


def test_a_delivery_that_is_noted_passes(truth, young):
    young.write_bytes(written() + DONE)
    truth.check_files()
    assert not truth.faults


def packet(head, body):
    return bytes([head, len(body) & 0x7F | 0x80, len(body) >> 7]) + body


CONNECT = packet(0x10, b"")
PUBLISH = packet(0x32, b"\0\1t" + b"\0\5" + b"\0" + json.dumps(PACK).encode())  # packet identifier 5
PUBACK = b"\x40\2\0\5"
REFUSAL = b"\x40\3\0\5\x97"


@pytest.mark.parametrize(
    ("came", "count", "faults"), [((PUBACK,), 1, 0), ((PUBACK[:1], PUBACK[1:]), 1, 0), ((), 0, 1), ((REFUSAL,), 0, 1)]
)
def test_a_delivery_that_the_broker_has_not_acknowledged_is_found(tmp_path, came, count, faults):
    sent = [call("sendto", "socket:[1]", CONNECT), call("sendto", "socket:[1]", PUBLISH)]
    answers = [call("recvfrom", "socket:[1]", data) for data in came]
    trace = traced(tmp_path / "trace", *sent, *answers, call("pwrite64", "/1.young", DONE))
    assert unacknowledged(trace)[0] == count
    assert len(unacknowledged(trace)[1]) == faults
