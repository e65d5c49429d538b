"""`roadside journal show` as a process."""

import os
import shutil

import pytest

from tests.cli.journal.conftest import journal
from tests.cli.roadside import roadside


def test_it_shows_what_is_there_and_what_waits(filled):
    result = journal("show", filled)
    assert (result.returncode, result.stderr) == (0, "")
    assert "0000000001.segment" in result.stdout
    assert "0000000001.young" in result.stdout
    assert "numbers 1-3  here: 1-3  3 wait for city" in result.stdout
    assert "kept values: answer" in result.stdout


def test_a_folder_without_a_journal_is_said_to_be_none_and_is_not_made(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        result = roadside("journal", "show", "--folder", folder)
        assert result.returncode == 1
        assert f"{folder}: no journal is here" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_configuration_that_is_named_is_refused(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text("[gatway]\n")
    assert roadside("journal", "show", "--config", file).returncode == 78


def test_a_card_is_found_on_the_place_where_it_is_mounted(filled, tmp_path):
    shutil.copytree(filled.card.path, tmp_path / "card/var/lib/roadside/journal")
    result = roadside("journal", "show", "--folder", tmp_path / "card")
    assert (result.returncode, result.stderr) == (0, "")
    assert "var/lib/roadside/journal, 1 file" in result.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_said_to_be_and_what_to_do(tmp_path):
    tmp_path.chmod(0)
    for folder in (tmp_path, tmp_path / "journal"):
        result = roadside("journal", "show", "--folder", folder)
        assert result.returncode == 1
        assert "not permitted: read it with sudo" in result.stderr
        assert "Traceback" not in result.stderr
    tmp_path.chmod(0o700)
