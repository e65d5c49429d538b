"""A configuration on trial: it proves itself, or the one before comes back, whatever is cut in between."""

import json
from dataclasses import replace

import pytest

from agent.config.trying import MOST_STARTS, NOTE, Trying
from agent.host.disk import Folder
from agent.proof import Proof

MINUTE = 60 * 10**9
SOUND = Proof("1.0", sampled=True, stored=True)
PROVEN = replace(SOUND, delivered=True, online=True)


class Clock:
    boot = "a"

    def __init__(self):
        self.now = 5 * MINUTE

    def boottime(self):
        return self.now


class Cut(BaseException):
    """The power fails."""


class CutFolder(Folder):
    """Loses its power before one of its changes; each of them is whole or not at all (tests/host)."""

    def __init__(self, path, at=None):
        super().__init__(path)
        self.at, self.changes = at, 0

    def _change(self):
        self.changes += 1
        if self.changes - 1 == self.at:
            raise Cut

    def replace(self, name, data):
        self._change()
        super().replace(name, data)

    def remove(self, name):
        self._change()
        super().remove(name)


class Gateway:
    def __init__(self, folder):
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self.file = folder / "gateway.toml"
        self.file.write_text("of the file")
        self.clock = Clock()

    def begun(self, disk=None):
        """Return what a new run of the agent finds."""
        trying = Trying(disk or Folder(self.state), self.state, self.file, self.clock)
        trying.start()
        return trying

    @property
    def runs(self):
        return Trying(Folder(self.state), self.state, self.file, self.clock).path.read_text()


@pytest.fixture
def gateway(tmp_path):
    return Gateway(tmp_path)


def given(gateway, text, minutes=10.0, *, offline=False):
    gateway.begun().begin(text, minutes, offline=offline)
    return gateway.begun()


def proved(gateway, text):
    """Give a configuration that delivers and goes on running."""
    trying = given(gateway, text)
    gateway.clock.now += MINUTE
    trying.judge(PROVEN)


def test_the_file_runs_where_nothing_was_given(gateway):
    trying = gateway.begun()
    assert trying.path == gateway.file
    assert trying.state() == {}
    assert not list(gateway.state.iterdir())


def test_what_delivers_stays(gateway):
    trying = given(gateway, "new")
    assert trying.path.read_text() == "new"
    assert trying.state()["trial"] == "on_trial"
    assert not trying.judge(None)
    assert not trying.judge(SOUND)
    assert not trying.judge(PROVEN)
    assert trying.is_on
    gateway.clock.now += MINUTE
    assert not trying.judge(PROVEN)
    assert not trying.is_on
    assert trying.state()["trial"] == "confirmed"
    for _ in range(5):
        assert gateway.begun().path.read_text() == "new"


def test_what_delivers_and_ends_again_and_again_goes(gateway):
    trying = given(gateway, "new")
    for _ in range(3):
        assert trying.path.read_text() == "new"
        gateway.clock.now += MINUTE - 1
        assert not trying.judge(PROVEN)
        trying = gateway.begun()
    assert trying.path == gateway.file
    assert trying.state()["trial"] == "given_up"


def test_what_does_not_deliver_in_time_goes(gateway):
    trying = given(gateway, "new")
    gateway.clock.now += 10 * MINUTE - 1
    assert not trying.judge(SOUND)
    gateway.clock.now += 1
    assert trying.judge(SOUND)
    after = gateway.begun()
    assert after.path == gateway.file
    assert after.state() | {"sha256": ""} == {
        "sha256": "",
        "trial": "given_up",
        "why": "it has not delivered anything within 10 min",
    }
    assert [path.name for path in gateway.state.iterdir()] == [NOTE]


def test_it_goes_back_to_what_had_proved_itself_not_to_the_file(gateway):
    proved(gateway, "first")
    trying = given(gateway, "second")
    assert trying.path.read_text() == "second"
    gateway.clock.now += 10 * MINUTE
    assert trying.judge(None)
    assert gateway.begun().path.read_text() == "first"


def test_offline_before_and_offline_still_is_not_its_fault(gateway):
    trying = given(gateway, "new", offline=True)
    gateway.clock.now += 60 * MINUTE
    assert not trying.judge(SOUND)
    assert trying.judge(replace(SOUND, online=True))


def test_offline_is_no_excuse_for_not_sampling(gateway):
    trying = given(gateway, "new", offline=True)
    gateway.clock.now += 10 * MINUTE
    assert trying.judge(Proof("1.0"))
    assert "sampled" in trying.state()["why"]


def test_an_agent_that_keeps_ending_with_it_is_started_with_the_one_before(gateway):
    gateway.begun().begin("new", 10.0, offline=False)
    for _ in range(MOST_STARTS):
        assert gateway.begun().path.read_text() == "new"
    assert gateway.begun().path == gateway.file
    assert gateway.begun().path == gateway.file


def test_after_a_power_cut_its_minutes_begin_anew_and_its_starts_go_on(gateway):
    given(gateway, "new")
    gateway.clock.boot, gateway.clock.now = "b", 0
    trying = gateway.begun()
    assert not trying.judge(SOUND)
    assert gateway.begun().path.read_text() == "new"
    assert gateway.begun().path == gateway.file


def test_a_file_that_was_changed_since_runs(gateway):
    proved(gateway, "new")
    gateway.file.write_text("changed")
    trying = gateway.begun()
    assert trying.path == gateway.file
    assert trying.state() == {}
    assert not list(gateway.state.iterdir())


def test_a_file_that_has_vanished_does_not_end_what_works(gateway):
    proved(gateway, "new")
    gateway.file.unlink()
    assert gateway.begun().path.read_text() == "new"


def test_what_does_not_even_run_goes_at_once(gateway):
    trying = given(gateway, "new")
    trying.give_up("it names a profile that is gone")
    assert gateway.begun().path == gateway.file


@pytest.mark.parametrize("note", [b"", b"[]", b"{}", b"7", b"\xff", b'{"trial": {}, "instead_of": ""}'])
def test_a_note_that_cannot_be_read_is_none(gateway, note):
    (gateway.state / NOTE).write_bytes(note)
    assert gateway.begun().path == gateway.file


def test_a_text_that_is_damaged_does_not_run(gateway):
    trying = given(gateway, "new")
    trying.path.write_text("nEw")
    assert gateway.begun().path == gateway.file


def test_a_note_of_another_shape_is_none(gateway):
    given(gateway, "new")
    note = json.loads((gateway.state / NOTE).read_bytes())
    note["trial"]["minutes"] = "ten"
    (gateway.state / NOTE).write_text(json.dumps(note))
    assert gateway.begun().path == gateway.file


def test_a_card_that_takes_nothing_runs_the_one_before(gateway):
    class Full(Folder):
        def replace(self, name, data):
            del data
            raise OSError(28, "No space left on device", name)

    given(gateway, "new")
    trying = gateway.begun(Full(gateway.state))
    assert trying.path == gateway.file
    assert not trying.is_on


@pytest.mark.parametrize("proven", [True, False])
def test_whatever_is_cut_it_is_the_one_or_the_other_and_never_for_ever_on_trial(tmp_path, proven):
    def live(gateway, disk):
        gateway.begun(disk).begin("second", 10.0, offline=False)
        trying = gateway.begun(disk)
        gateway.clock.now += 10 * MINUTE
        trying.judge(PROVEN if proven else None)

    counted = Gateway(tmp_path / "whole")
    proved(counted, "first")
    whole = CutFolder(counted.state)
    live(counted, whole)
    assert whole.changes >= 4
    for at in range(whole.changes):
        gateway = Gateway(tmp_path / f"{at}")
        proved(gateway, "first")
        with pytest.raises(Cut):
            live(gateway, CutFolder(gateway.state, at))
        assert gateway.runs in {"first", "second"}
        for _ in range(MOST_STARTS + 1):
            last = gateway.begun()
        assert not last.is_on
        assert last.path.read_text() in ({"first", "second"} if proven else {"first"})


def test_a_trial_that_broke_the_network_does_not_excuse_the_one_that_takes_its_place(gateway):
    given(gateway, "without a network", offline=False)
    second = given(gateway, "without a network either", offline=True)
    gateway.clock.now += 11 * MINUTE
    assert second.judge(SOUND)
    assert gateway.runs == "of the file"
