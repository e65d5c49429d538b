"""Each recording is decoded to exactly the lines that stand beside it, however it was cut."""

import pytest

from drivers import registry
from tests.drivers.recordings import names, recordings

ALL = [pytest.param(recording, id=recording.place) for name in names() for recording in recordings(name)]
CUTS = 200  # places at which a recording is cut in two


@pytest.mark.parametrize("recording", ALL)
def test_a_recording_whole(recording):
    assert recording.lines() == recording.expected


@pytest.mark.parametrize("recording", ALL)
def test_a_recording_byte_by_byte_and_cut_in_two(recording):
    data = recording.data
    assert recording.lines(data[index : index + 1] for index in range(len(data))) == recording.expected
    for cut in range(1, len(data), 1 + len(data) // CUTS):
        assert recording.lines((data[:cut], data[cut:])) == recording.expected


def test_each_file_belongs_to_a_driver():
    assert set(names()) <= set(registry.names())
