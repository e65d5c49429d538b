"""`roadside fleet` as a person calls it: keys come over a terminal, and the cards are files."""

import contextlib
import csv
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field

import pytest

from agent.enrolling import claims, fleet
from agent.enrolling.fleet import Answer
from agent.enrolling.manifest import Row
from tests.cli.roadside import ENVIRONMENT
from tests.enrolling.test_manifest import CONFIGURATION
from tests.flashing import images
from tests.flashing.conftest import made  # noqa: F401 - a fixture

WITHIN = 60  # seconds
GATEWAYS = ("pkt-0001", "pkt-0002", "pkt-0003")


@dataclass
class Scripted:
    """A bench at which everything is decided beforehand: for each gateway what is answered, and whether it works."""

    answers: dict[str, list[str]]
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def ask(self, row, number, count):
        self.asked.append((row.gateway, number, count))
        return {"s": Answer.SKIP, "x": Answer.END}.get(self.answers[row.gateway][0], Answer.WRITE)

    def write(self, row):
        self.written.append(row.gateway)
        return self.answers[row.gateway].pop(0) == "good"


def rows(tmp_path):
    return [Row(line, gateway, tmp_path, None, "", None) for line, gateway in enumerate(GATEWAYS, 2)]


def test_a_card_that_fails_stays_next_until_it_is_made_or_left_out(tmp_path):
    bench = Scripted({"pkt-0001": ["bad", "bad", "good"], "pkt-0002": ["bad", "s"], "pkt-0003": ["good"]})
    outcome = fleet.run(rows(tmp_path), (), bench)
    assert (outcome.made, outcome.skipped) == (["pkt-0001", "pkt-0003"], ["pkt-0002"])
    assert bench.written == ["pkt-0001"] * 3 + ["pkt-0002", "pkt-0003"]


def test_who_has_a_card_is_not_asked_about(tmp_path):
    bench = Scripted({"pkt-0001": ["good"], "pkt-0003": ["good"]})
    outcome = fleet.run(rows(tmp_path), {"pkt-0002"}, bench)
    assert outcome.done_before == ["pkt-0002"]
    assert bench.asked == [("pkt-0001", 1, 2), ("pkt-0003", 2, 2)]


def test_what_is_left_at_the_end_is_told(tmp_path):
    outcome = fleet.run(rows(tmp_path), (), Scripted({"pkt-0001": ["good"], "pkt-0002": ["x"]}))
    assert (outcome.made, outcome.left) == (["pkt-0001"], ["pkt-0002", "pkt-0003"])


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def table(made, workshop, tmp_path):  # noqa: F811 - the fixture
    """A workbench: the list, the cards' folder, and the command with what it is given."""
    (tmp_path / "cards").mkdir()
    (tmp_path / "fleet.csv").write_text("\n".join(("gateway", *GATEWAYS)) + "\n")
    for gateway in GATEWAYS:
        (tmp_path / f"{gateway}.toml").write_text(CONFIGURATION.format(gateway=gateway))
    return [
        sys.executable, "-m", "agent", "fleet", str(tmp_path / "fleet.csv"),
        f"--image={made / 'trixie.img'}", f"--bundle={made / 'trixie.release'}", f"--to={tmp_path / 'cards'}",
        f"--register={tmp_path / 'cards.csv'}", f"--authority={workshop.folder}",
    ]  # fmt: skip


def call(command, keys, killed_when=lambda: False):
    """Return status and output of a command at a terminal, at which one of these keys is pressed at each prompt."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    said = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT) as process:
        deadline = time.monotonic() + WITHIN
        pressed = 0
        while process.poll() is None:
            with contextlib.suppress(BlockingIOError):
                said += os.read(ours, 65_536)
            # What is typed before the command listens for single keys is thrown away.
            listens = not termios.tcgetattr(theirs)[3] & termios.ICANON
            if listens and said.count(b"leave it out") > pressed:
                os.write(ours, keys[pressed : pressed + 1])
                pressed += 1
            if killed_when() or time.monotonic() > deadline:
                process.kill()
            time.sleep(0.01)
        with contextlib.suppress(BlockingIOError):
            said += os.read(ours, 65_536)
    for descriptor in (ours, theirs):
        os.close(descriptor)
    return process.returncode, said.decode()


def cards(folder):
    with (folder / "cards.csv").open(newline="") as file:
        return [row["gateway"] for row in csv.DictReader(file)]


def test_cards_are_made_one_after_the_other_and_called_again_it_goes_on(table, workshop, tmp_path):
    status, said = call(table, b"\rs\x03")
    assert status == 2, said
    assert "1 made, 0 before, 1 left out, 1 still to do." in said
    assert cards(tmp_path) == ["pkt-0001"]

    status, said = call(table, b"\r\r")
    assert status == 0, said
    assert "2 made, 1 before, 0 left out, 0 still to do." in said
    assert cards(tmp_path) == list(GATEWAYS)

    tokens = {}
    for gateway in GATEWAYS:
        card = tmp_path / "cards" / f"{gateway}.img"
        assert "errors" not in images.judged(card)
        files = images.taken_out(card, tmp_path / gateway)
        tokens[gateway] = (files / "roadside/claim").read_text()
        assert claims.read(tokens[gateway]).gateway == gateway
    assert len(set(tokens.values())) == len(GATEWAYS)
    waiting = [one.gateway for one in workshop.office.standing().claims.values() if not one.void]
    assert sorted(waiting) == list(GATEWAYS)


def test_a_card_that_was_cut_is_made_again(table, workshop, tmp_path):
    card = tmp_path / "cards/pkt-0001.img"
    status, _said = call(table, b"\r", killed_when=lambda: card.exists() and card.stat().st_size > 0)
    assert status == -signal.SIGKILL
    assert not (tmp_path / "cards.csv").exists()
    status, said = call(table, b"\rss")
    assert status == 2, said
    assert cards(tmp_path) == ["pkt-0001"]
    assert "errors" not in images.judged(card)
    token = (images.taken_out(card, tmp_path / "files") / "roadside/claim").read_text()
    standing = workshop.office.standing()
    assert [one.void for name, one in standing.claims.items() if name != claims.read(token).id] == [True]
    assert not standing.claims[claims.read(token).id].void


def test_a_claim_that_cannot_be_made_leaves_the_gateway_next(table, workshop, tmp_path):
    (workshop.folder / "provisioner.key").write_text("damaged")
    status, said = call(table, b"\rsss")
    assert status == 2, said
    assert "Traceback" not in said
    assert not (tmp_path / "cards.csv").exists()


def test_a_list_with_a_mistake_writes_no_card(table, tmp_path):
    with (tmp_path / "fleet.csv").open("a") as file:
        file.write("pkt-0002\n")
    status, said = call(table, b"\r\r\r")
    assert status == 1
    assert "fleet.csv:5: gateway pkt-0002 stands in line 3 already" in said
    assert not list((tmp_path / "cards").iterdir())


def test_a_folder_that_is_not_there_is_not_taken_for_one_file_for_all(table, tmp_path):
    (tmp_path / "cards").rmdir()
    status, said = call(table, b"\r\r\r")
    assert status == 1
    assert "cards is no folder, and no reader" in said.replace("\r\n", "")
    assert not (tmp_path / "cards").exists()


def test_without_a_terminal_it_says_so(table):
    done = subprocess.run(
        table, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True,
        env=ENVIRONMENT,
    )  # fmt: skip
    assert (done.returncode, "there is no terminal" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_two_who_make_the_same_list_at_once_would_make_every_card_twice(table, tmp_path):
    with (tmp_path / "fleet.csv").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        status, said = call(table, b"\r\r\r")
    assert status == 1
    assert "its cards are being made already" in said.replace("\r\n", " ")


def test_a_register_that_a_spreadsheet_has_spoilt_makes_no_card_again(table, tmp_path):
    (tmp_path / "cards.csv").write_text("made;gateway;check\n2026-11-22T12:00:00Z;pkt-0001;G\n")
    status, said = call(table, b"\r\r\r")
    assert status == 1
    assert "is no register of cards" in said.replace("\r\n", " ")
    assert not list((tmp_path / "cards").iterdir())


def test_a_network_for_all_and_one_of_its_own_go_on_a_card(table, tmp_path):
    for name in ("poles", "own"):
        (tmp_path / f"{name}.nmconnection").write_text(f"[connection]\nid={name}\ntype=ethernet\n")
    (tmp_path / "fleet.csv").write_text("gateway;network\npkt-0001;own.nmconnection\n")
    status, said = call([*table, f"--network={tmp_path / 'poles.nmconnection'}"], b"\r")
    assert status == 0, said
    files = images.taken_out(tmp_path / "cards/pkt-0001.img", tmp_path / "files")
    assert {path.name for path in (files / "roadside/network").iterdir()} == {"own.nmconnection", "poles.nmconnection"}


def test_a_gateway_that_is_enrolled_is_found_before_the_first_card(table, workshop, tmp_path):
    from tests.enrolling.gateways import a_request

    workshop.office.sign(workshop.claim("pkt-0003"), a_request(tmp_path / "there", "pkt-0003"))
    status, said = call(table, b"\r\r\r")
    assert status == 1
    assert "fleet.csv:4: pkt-0003 is enrolled already" in said.replace("\r\n", "")
    assert not list((tmp_path / "cards").iterdir())
