from drivers.contract import Fault, FaultKind, Measurement
from drivers.pace import PacedDecoder


class Said:
    """Says whatever it is fed: a distance, and a fault for zero."""

    def feed(self, data):
        return [Measurement("distance", byte) if byte else Fault(FaultKind.CHECKSUM, 0) for byte in data]

    def end(self):
        return []


def test_one_measurement_of_a_quantity_passes_in_each_interval_at_a_steady_pace():
    paced = PacedDecoder(Said(), 1.0)
    passed = [(tick / 10, item.value) for tick in range(35) for item in paced.feed(bytes([tick + 1]), tick / 10)]
    assert passed == [(0.0, 1), (1.0, 11), (2.0, 21), (3.0, 31)]


def test_after_a_pause_the_pace_begins_anew():
    paced = PacedDecoder(Said(), 1.0)
    assert paced.feed(b"\x01", 0.0)
    assert paced.feed(b"\x02", 5.5)
    assert not paced.feed(b"\x03", 6.4)
    assert paced.feed(b"\x04", 6.5)


def test_faults_always_pass():
    paced = PacedDecoder(Said(), 60.0)
    assert len(paced.feed(b"\x01\x00\x02\x00", 0.0)) == 3


def test_without_a_pace_all_passes():
    paced = PacedDecoder(Said(), 0.0)
    assert len(paced.feed(b"\x01\x02", 0.0) + paced.feed(b"\x03", 0.0)) == 3


def test_nothing_comes_of_time_and_nothing_is_remembered():
    paced = PacedDecoder(Said(), 1.0)
    paced.recall({})
    assert (paced.due(), paced.tick(1.0), paced.memory()) == (None, [], {})
