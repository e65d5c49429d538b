"""`roadside doctor` as a process: what it prints, in which language, and with which exit status it ends."""

import json

import pytest
from click import unstyle

from agent.commands.doctor import MARKS, lines
from agent.doctor.examine import examine
from agent.i18n import _, speaking, width
from tests.cli.roadside import roadside

CMDLINE = "boot/firmware/cmdline.txt"


def card(tree, *arguments, **options):
    return roadside("doctor", "--card", tree.root, *arguments, **options)


def spoil(tree):
    tree.replace(CMDLINE, "console=tty1", "console=serial0,115200 console=tty1")


def test_a_card_without_a_fault_ends_with_0(tree):
    done = card(tree)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "Nothing is wrong that could be looked at."


def test_an_error_is_told_with_its_reason_and_its_command_and_ends_with_2(tree):
    spoil(tree)
    done = card(tree)
    printed = done.stdout.splitlines()
    at = next(number for number, line in enumerate(printed) if line.startswith("  error"))
    assert done.returncode == 2
    assert "console to the UART (serial0 in" in printed[at]
    assert printed[at + 1].strip().startswith("why: ")
    assert printed[at + 2].strip().startswith("$ sudo sed -i -E ")
    assert printed[-1] == "1 error, 0 warnings"


def test_a_warning_ends_with_1(tree):
    (tree.root / "etc/systemd/system.conf.d/roadside-watchdog.conf").unlink()
    assert card(tree).returncode == 1


def test_machines_are_told_the_same_in_english_whatever_the_locale(tree):
    spoil(tree)
    done = card(tree, "--json", locale="th_TH.UTF-8")
    document = json.loads(done.stdout)
    (bad,) = (one for one in document["findings"] if one["severity"] != "fine")
    assert (done.returncode, document["exit_status"]) == (2, 2)
    assert bad["check"] == "serial.console"
    assert bad["what"].startswith("the kernel writes its console to the UART")
    assert [one["safe"] for one in bad["commands"]] == [True]


def test_fix_shows_what_it_runs_runs_it_and_looks_again(tree):
    spoil(tree)
    done = card(tree, "--fix")
    printed = done.stdout.splitlines()
    assert printed[0] == "These commands are run now:"
    assert printed[1].startswith("  $ sudo sed -i -E ")
    assert printed[2].startswith("done: sudo sed -i -E ")
    assert done.returncode == 0
    assert "serial0" not in tree.read(CMDLINE)


def test_fix_touches_nothing_where_nothing_is_wrong(tree):
    before = {path: path.stat().st_mtime_ns for path in tree.root.rglob("*") if path.is_file()}
    assert "$" not in card(tree, "--fix").stdout
    assert {path: path.stat().st_mtime_ns for path in tree.root.rglob("*") if path.is_file()} == before


def test_fix_goes_on_where_a_command_fails(tree):
    spoil(tree)
    (tree.root / "etc/systemd/system/multi-user.target.wants/roadside.service").unlink()
    tree.write("etc/systemd/system/roadside.service", "no unit\n")
    done = card(tree, "--fix")
    assert sum(line.startswith(("done: ", "failed: ")) for line in done.stdout.splitlines()) == 2
    assert "serial0" not in tree.read(CMDLINE)


@pytest.mark.parametrize(("command", "name"), [("doctor", ""), ("doctor", "nowhere"), ("support", "file")])
def test_what_is_no_card_is_refused(tmp_path, command, name):
    (tmp_path / "file").write_text("")
    done = roadside(command, "--card", tmp_path / name)
    assert (done.returncode, "neither the boot partition" in done.stderr) == (64, True)


@pytest.mark.parametrize("language", ["en", "th"])
def test_the_marks_are_aligned_by_their_width_in_a_terminal(tree, language):
    spoil(tree)
    with speaking(language):
        found = list(examine(tree.card()))
        printed = list(map(unstyle, lines(found)))
        cells = max(width(_(mark)) for mark in MARKS.values())
    for one in found:
        (line,) = (line for line in printed if line.endswith(one.what) and line.startswith("  "))
        assert width(line.removesuffix(one.what)) == cells + 4
