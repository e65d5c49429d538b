"""What an agent writes down of its outputs, for whoever makes them safe when it is dead."""

from __future__ import annotations

import pytest

from agent import outputs
from agent.config.load import load
from agent.host.disk import Folder
from tests.system.gateway import HERE


def test_the_outputs_are_written_down_with_the_level_at_which_they_are_on_and_forgotten_when_there_are_none(tmp_path):
    folder = Folder(tmp_path)
    devices = load(HERE / "gateway.toml").devices
    assert outputs.noted(folder) == []
    outputs.note(folder, devices.values())
    assert outputs.noted(folder) == [outputs.Pin("siren-1", 22, "high")]
    outputs.note(folder, [])
    assert outputs.noted(folder) == []


@pytest.mark.parametrize("text", ["", "{}", "[[1, 2, 3]]", '[["siren-1", "22", "high"]]', '[["siren-1", 22, "up"]]'])
def test_a_note_that_is_none_is_an_error(tmp_path, text):
    (tmp_path / outputs.NAME).write_text(text)
    with pytest.raises(ValueError, match=r"."):
        outputs.noted(Folder(tmp_path))
