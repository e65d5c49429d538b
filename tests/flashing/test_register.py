"""The register of cards."""

import csv
import resource
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.flashing.medium import FlashError
from agent.flashing.register import Line, add, lines

LINE = Line(
    "2026-11-22T12:00:00Z", "pkt-0042", "X", "a.img", "00", "1.1 bookworm-aarch64", "11", "SD, 64 GB", "1", 9, 5
)


def test_lines_are_added_below_a_heading_and_read_back(tmp_path):
    path = tmp_path / "cards.csv"
    add(path, LINE)
    add(path, LINE._replace(gateway="pkt-0043", card='a "quoted"\nmodel'))
    assert [line.gateway for line in lines(path)] == ["pkt-0042", "pkt-0043"]
    assert lines(path)[0] == LINE
    with path.open(newline="") as file:
        assert [row["gateway"] for row in csv.DictReader(file)] == ["pkt-0042", "pkt-0043"]


def test_a_line_that_was_cut_stays_as_it_is_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "cards.csv"
    add(path, LINE)
    before = path.read_bytes() + b"2026-11-22T13:00:00Z,pkt-00"
    path.write_bytes(before)
    add(path, LINE._replace(gateway="pkt-0044"))
    assert path.read_bytes().startswith(before)
    assert [line.gateway for line in lines(path)] == ["pkt-0042", "pkt-0044"]


def test_several_may_add_at_once(tmp_path):
    path = tmp_path / "cards.csv"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: add(path, LINE._replace(gateway=f"pkt-{number}")), range(40)))
    assert sorted(line.gateway for line in lines(path)) == sorted(f"pkt-{number}" for number in range(40))
    assert len(path.read_text().splitlines()) == 41


def test_a_full_disk_leaves_no_half_line(tmp_path):
    path = tmp_path / "cards.csv"
    add(path, LINE)
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limit[1]))
    try:
        with pytest.raises(OSError, match=path.name):
            add(path, LINE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before


def test_where_there_is_none_there_are_no_lines(tmp_path):
    assert lines(tmp_path / "cards.csv") == []


def test_with_the_mark_that_a_spreadsheet_puts_in_front_it_is_the_same(tmp_path):
    path = tmp_path / "cards.csv"
    add(path, LINE)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert lines(path) == [LINE]


@pytest.mark.parametrize(
    "spoilt",
    [lambda text: text.replace(b",", b";"), lambda text: text.decode().encode("utf-16"), lambda text: text[9:]],
)
def test_what_a_spreadsheet_has_spoilt_is_not_taken_for_a_register_without_lines(tmp_path, spoilt):
    path = tmp_path / "cards.csv"
    add(path, LINE)
    path.write_bytes(spoilt(path.read_bytes()))
    with pytest.raises(FlashError, match="is no register of cards"):
        lines(path)
