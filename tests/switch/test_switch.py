"""The program that switches releases: it is started as systemd starts it, on a folder of its own."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SWITCH = Path(__file__).parents[2] / "systemd/roadside-switch"
SOUND = {"sampled": True, "stored": True, "delivered": False, "online": False}


class Gateway:
    """A folder of releases, and what the agent says of itself."""

    def __init__(self, folder):
        self.base, self.proof = folder / "opt", folder / "proof.json"
        for version in ("1.0", "1.1", "1.2"):
            (self.base / "releases" / version).mkdir(parents=True)
            (self.base / "releases" / version / "COMPLETE").touch()

    def switch(self, *arguments, status=0):
        command = [sys.executable, "-I", SWITCH, "--base", self.base, "--proof", self.proof, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def says(self, release, **fields):
        self.proof.write_text(json.dumps({**SOUND, "release": release, **fields}))

    @property
    def current(self):
        return (self.base / "current").readlink().name

    @property
    def trial(self):
        path = self.base / "trial.json"
        return json.loads(path.read_text()) if path.exists() else None

    def let_pass(self, minutes):
        """Have the trial and its last start be so many minutes earlier."""
        trial = self.trial
        earlier = {key: trial[key] - 60 * minutes for key in ("since", "started")}
        (self.base / "trial.json").write_text(json.dumps({**trial, **earlier}))


@pytest.fixture
def gateway(tmp_path):
    gateway = Gateway(tmp_path)
    assert "first release" in gateway.switch("try", "1.0")
    gateway.says("1.0", delivered=True, online=True)
    return gateway


def test_a_release_that_samples_stores_and_delivers_stays(gateway):
    gateway.switch("try", "1.1")
    assert gateway.current == "1.1"
    gateway.says("1.1", online=True)
    assert gateway.switch("judge") == ""
    gateway.says("1.1", online=True, delivered=True)
    gateway.let_pass(2)
    assert "proved itself" in gateway.switch("judge")
    assert gateway.trial is None
    assert gateway.current == "1.1"
    assert "1.0" in gateway.switch("back")
    assert gateway.current == "1.0"


@pytest.mark.parametrize("missing", ["sampled", "stored", "delivered"])
def test_a_release_that_lacks_one_of_the_three_is_taken_back(gateway, missing):
    gateway.switch("try", "1.1")
    gateway.says("1.1", **{**dict.fromkeys(SOUND, True), missing: False})
    gateway.let_pass(9)
    assert gateway.switch("judge") == ""
    gateway.let_pass(2)
    assert f"not {missing}" in gateway.switch("judge")
    assert gateway.current == "1.0"
    assert gateway.trial is None


def test_what_the_old_agent_said_is_no_proof_of_the_new_one(gateway):
    gateway.switch("try", "1.1")
    assert gateway.switch("judge") == ""
    gateway.let_pass(11)
    gateway.switch("judge")
    assert gateway.current == "1.0"


def test_being_offline_before_and_after_is_not_the_releases_fault(gateway):
    gateway.says("1.0")
    gateway.switch("try", "1.1")
    gateway.says("1.1")
    gateway.let_pass(24 * 60)
    assert gateway.switch("judge") == ""
    assert gateway.current == "1.1"
    gateway.says("1.1", online=True)  # now it could, and does not
    gateway.switch("judge")
    assert gateway.current == "1.0"


def test_an_agent_that_was_offline_before_must_still_sample_and_store(gateway):
    gateway.says("1.0")
    gateway.switch("try", "1.1")
    gateway.says("1.1", sampled=False)
    gateway.let_pass(11)
    gateway.switch("judge")
    assert gateway.current == "1.0"


def test_a_release_that_keeps_ending_is_taken_back_by_the_fourth_start(gateway):
    gateway.switch("try", "1.1")
    for _ in range(3):
        assert gateway.switch("starting") == ""
        assert gateway.current == "1.1"
    assert "1.1 was given up" in gateway.switch("starting")
    assert gateway.current == "1.0"
    assert gateway.switch("starting") == ""


def test_a_release_that_delivers_and_then_ends_has_proved_nothing(gateway):
    gateway.switch("try", "1.1")
    for _ in range(3):
        assert gateway.switch("starting") == ""
        gateway.says("1.1", online=True, delivered=True)
        assert gateway.switch("judge") == ""
    assert "1.1 was given up" in gateway.switch("starting")
    assert gateway.current == "1.0"


def test_a_release_that_delivers_only_after_its_minutes_and_stays_is_kept(gateway):
    gateway.switch("try", "1.1", "--minutes", "0")
    gateway.switch("starting")
    gateway.says("1.1", online=True, delivered=True)
    assert gateway.switch("judge") == ""
    gateway.let_pass(2)
    assert "proved itself" in gateway.switch("judge")


def test_after_a_power_cut_the_minutes_begin_anew_and_the_starts_go_on(gateway):
    gateway.switch("try", "1.1")
    gateway.switch("starting")
    trial = gateway.trial
    (gateway.base / "trial.json").write_text(json.dumps({**trial, "boot": "another", "since": 0.0}))
    assert gateway.switch("judge") == ""
    gateway.switch("starting")
    assert gateway.trial["starts"] == 2
    assert gateway.trial["since"] >= trial["since"]


def test_the_minutes_run_out_also_after_a_power_cut_whose_start_could_not_be_noted(gateway):
    """A full card, say: the start goes on without its note, and only the judge looks from then on."""
    gateway.switch("try", "1.1")
    gateway.says("1.1")
    (gateway.base / "trial.json").write_text(json.dumps({**gateway.trial, "boot": "another"}))
    assert gateway.switch("judge") == ""
    assert gateway.current == "1.1"
    gateway.let_pass(11)
    assert "1.1 was given up" in gateway.switch("judge")
    assert gateway.current == "1.0"


@pytest.mark.parametrize(
    ("version", "why"), [("1.0", "runs already"), ("1.9", "no whole release 1.9"), ("../1.1", "no whole release")]
)
def test_what_cannot_be_tried_is_refused_and_nothing_changes(gateway, version, why):
    (gateway.base / "releases/1.2/COMPLETE").unlink()
    assert why in gateway.switch("try", version, status=1)
    assert "no whole release 1.2" in gateway.switch("try", "1.2", status=1)
    assert gateway.current == "1.0"
    assert gateway.trial is None


def test_one_trial_at_a_time(gateway):
    gateway.switch("try", "1.1")
    assert "1.1 is on trial" in gateway.switch("try", "1.2", status=1)
    assert "back to 1.0" in gateway.switch("back")
    gateway.switch("try", "1.2")
    assert gateway.current == "1.2"


@pytest.mark.parametrize("said", [b"", b"[]", b"{", b"\xff", b"7", b'{"release": "1.1", "sampled": 1}', b"x" * 10_000])
def test_whatever_the_agent_says_the_judge_does_not_stumble(gateway, said):
    gateway.switch("try", "1.1")
    gateway.proof.write_bytes(said)
    assert gateway.switch("judge") == ""
    gateway.let_pass(11)
    gateway.switch("judge")
    assert gateway.current == "1.0"


@pytest.mark.parametrize("kept", [b"", b"[]", b"{}", b'{"from": 3}', b"\xff\xfe"])
def test_a_note_that_cannot_be_read_is_no_trial(gateway, kept):
    (gateway.base / "trial.json").write_bytes(kept)
    assert gateway.switch("starting") == ""
    assert gateway.switch("judge") == ""
    assert gateway.current == "1.0"


def test_a_way_back_that_was_cut_before_the_restart_is_gone_to_its_end(gateway):
    gateway.switch("try", "1.1")
    gateway.switch("judge")
    (gateway.base / "current").unlink()
    (gateway.base / "current").symlink_to("releases/1.0")  # and here it was cut
    assert "cut short" in gateway.switch("judge")
    assert (gateway.current, gateway.trial) == ("1.0", None)


def test_a_way_back_by_hand_that_was_cut_goes_no_further_back_when_it_is_repeated(gateway):
    gateway.switch("try", "1.1")
    gateway.says("1.1", online=True, delivered=True)
    gateway.let_pass(2)
    gateway.switch("judge")
    gateway.switch("try", "1.2")
    (gateway.base / "current").unlink()
    (gateway.base / "current").symlink_to("releases/1.1")  # and here it was cut
    assert "back to 1.1" in gateway.switch("back")
    assert (gateway.current, gateway.trial) == ("1.1", None)


def test_one_switcher_waits_for_the_other(gateway):
    """Between its note and its switch `try` must not be taken for one that was cut."""
    folder = os.open(gateway.base, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    command = [sys.executable, "-I", SWITCH, "--base", gateway.base, "--proof", gateway.proof, "try", "1.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as trying:
        with pytest.raises(subprocess.TimeoutExpired):
            trying.wait(0.5)
        assert gateway.switch("starting") == ""  # where there is no trial a start never waits
        assert gateway.current == "1.0"
        os.close(folder)
        assert trying.wait(30) == 0
    assert gateway.current == "1.1"


def test_a_link_is_not_followed_to_a_proof(gateway):
    gateway.switch("try", "1.1")
    elsewhere = gateway.proof.with_name("elsewhere")
    elsewhere.write_text(json.dumps({**dict.fromkeys(SOUND, True), "release": "1.1"}))
    gateway.proof.unlink()
    gateway.proof.symlink_to(elsewhere)
    assert gateway.switch("judge") == ""
