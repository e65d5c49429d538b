"""`roadside flash` as a person calls it; the card is a file."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.flashing.medium import Card
from agent.flashing.writing import is_unfinished
from tests.flashing import images

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def flash(made, tmp_path):
    """Call the command in an empty folder; what is given stands in place of the usual, None takes it away."""

    def flash(*more, given="y\n", **options):
        usual = {
            "image": made / "bookworm.img",
            "gateway": "pkt-0042",
            "to": "card.img",
            "bundle": made / "bookworm.release",
            "config": made / "pkt-0042.toml",
        }
        words = [f"--{name}={value}" for name, value in (usual | options).items() if value is not None]
        return subprocess.run(
            [Path(sys.executable).with_name("roadside"), "flash", *words, *more],
            cwd=tmp_path, input=given, capture_output=True, text=True, check=False, env={**os.environ, "LANG": "C"},
        )  # fmt: skip

    return flash


def test_a_card_its_label_and_a_line_in_the_register_are_made(flash, tmp_path):
    done = flash()
    assert done.returncode == 0, done.stderr
    assert "Without --root-keys this gateway takes no updates" in done.stdout
    assert "Card of pkt-0042-G: Raspberry Pi OS bookworm-aarch64, Roadside 1.1" in done.stdout
    assert "card.img is the card of pkt-0042, and was read back" in done.stdout
    assert "writing 100 %" in done.stderr
    assert "MB/s" in done.stderr
    assert "reading back 100 %" in done.stderr
    assert "errors" not in images.judged(tmp_path / "card.img")
    assert "หาดกะรน" in (tmp_path / "pkt-0042.svg").read_text()
    with (tmp_path / "cards.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["gateway"], row["check"], row["release"]) == ("pkt-0042", "G", "1.1 bookworm-aarch64")


def test_a_second_card_for_a_gateway_is_warned_of_and_what_is_erased_is_shown(flash, tmp_path):
    flash()
    done = flash(given="n\n")
    assert "pkt-0042 has a card already" in done.stdout
    assert f"All of the file card.img is erased: {(tmp_path / 'card.img').stat().st_size} bytes" in done.stdout
    assert len((tmp_path / "cards.csv").read_text().splitlines()) == 2


def test_who_does_not_say_yes_erases_nothing(flash, tmp_path):
    (tmp_path / "card.img").write_bytes(b"mine")
    assert flash(given="\n").returncode == 130
    assert (tmp_path / "card.img").read_bytes() == b"mine"
    assert not (tmp_path / "cards.csv").exists()


def test_a_configuration_that_is_not_right_is_shown_as_check_does(flash, tmp_path):
    (tmp_path / "bad.toml").write_text(images.CONFIGURATION + "colour = 1\n")
    done = flash(config="bad.toml")
    assert done.returncode == 78
    assert "bad.toml:11" in done.stderr
    assert not (tmp_path / "card.img").exists()


def test_the_disk_that_this_computer_runs_from_is_refused(flash):
    roots = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    device = next((Path(f"/sys/dev/block/{one[2]}") for one in roots if one[4] == "/"), None)
    if device is None or not device.exists():
        pytest.skip("the root of this machine is no block device")
    name = device.resolve()
    name = name.parent.name if (name / "partition").exists() else name.name
    done = flash("--yes", to=f"/dev/{name}")
    assert done.returncode == 1
    assert "is what this computer runs from" in done.stderr


def test_a_disk_that_is_not_there_is_refused_and_those_that_are_there_are_named(flash):
    done = flash(to="/dev/sdzz")
    assert done.returncode == 1
    assert "there is no /dev/sdzz; the cards here are: " in done.stderr


def test_a_label_that_cannot_be_made_is_said_before_anything_is_written(flash, tmp_path):
    assert "a label is an .svg" in flash(label="x.doc").stderr
    assert not (tmp_path / "card.img").exists()


@pytest.mark.parametrize("name", ["label", "register"])
def test_a_folder_that_is_not_there_is_said_before_anything_is_written(flash, tmp_path, name):
    assert "no: there is no such folder" in flash(**{name: "no/file.svg"}).stderr
    assert not (tmp_path / "card.img").exists()


@pytest.mark.parametrize("name", ["image", "register"])
def test_what_the_card_is_made_of_is_not_written_over(flash, made, tmp_path, name):
    mine = tmp_path / "mine"
    mine.write_bytes((made / "bookworm.img").read_bytes())
    before = mine.stat()
    (tmp_path / "link").symlink_to(mine)
    done = flash("--yes", to="link", **{name: mine})
    assert done.returncode == 1
    assert "mine is what the card is made of" in done.stderr
    assert (mine.stat().st_mtime_ns, mine.stat().st_size) == (before.st_mtime_ns, before.st_size)


def test_a_register_that_cannot_be_written_is_told_as_that_and_not_as_a_card_that_failed(flash, tmp_path):
    (tmp_path / "cards.csv").symlink_to("nowhere/cards.csv")
    done = flash("--yes")
    assert done.returncode == 1
    assert "The card is finished; it lacks its line in the register" in done.stderr
    with Card(tmp_path / "card.img") as card:
        assert not is_unfinished(card)


def test_what_goes_wrong_in_the_middle_leaves_an_unfinished_card_and_no_line(flash, made, tmp_path):
    image = tmp_path / "damaged.img.xz"
    from tests.flashing.test_card import xz

    image.write_bytes(xz((made / "bookworm.img").read_bytes())[:-30])
    done = flash(image=image)
    assert done.returncode == 1
    assert "damaged or not whole" in done.stderr
    assert "The card is unfinished, and marked so: flash it again." in done.stderr
    assert not (tmp_path / "cards.csv").exists()
    with Card(tmp_path / "card.img") as card:
        assert is_unfinished(card)
