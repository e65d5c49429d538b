"""The register of cards."""

import csv

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


def test_where_there_is_none_there_are_no_lines(tmp_path):
    assert lines(tmp_path / "cards.csv") == []
