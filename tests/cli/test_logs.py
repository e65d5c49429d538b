import io
import logging
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import logs


@pytest.fixture(autouse=True)
def as_it_was():
    """Give the logging of the whole process back."""
    root, roadside = logging.getLogger(), logging.getLogger(logs.ROOT)
    before = root.handlers[:], root.level, roadside.level
    yield
    root.handlers[:], root.level, roadside.level = before
    logging.captureWarnings(capture=False)


def installed(make=logs.for_journald, **options):
    stream = io.StringIO()
    logs.install(make(stream), **options)
    return stream


def test_one_event_is_one_line_with_its_priority():
    stream = installed()
    log = logs.get("sampler")
    log.warning("port_lost", device="air-1", fault="unplugged")
    log.info("port_open", device="air-1", after=1.23456789, again=True, detail=None)
    log.error("stopped")
    log.debug("nobody_hears_this")
    assert stream.getvalue().splitlines() == [
        "<4>port_lost device=air-1 fault=unplugged",
        "<6>port_open device=air-1 after=1.23457 again=true",
        "<3>stopped",
    ]


def test_on_a_terminal_it_is_made_for_people():
    stream = installed(logs.for_people, level=logging.DEBUG)
    logs.get("sampler").debug("port_lost", device="air-1")
    time, level, rest = stream.getvalue().split(maxsplit=2)
    assert time.count(":") == 2
    assert (level, rest) == ("debug", "port_lost device=air-1\n")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("คลอง", "คลอง"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "no"', r'"say \"no\""'),
        ("C:\\x", "C:\\x"),
        ("one\ntwo", r'"one\ntwo"'),
        ("\x1b[2J\x00\x7f\u2028\u202e", r'"\u001b[2J\u0000\u007f\u2028\u202e"'),
        (b"\xff", r"b\'\xff\'".replace("\\'", "'")),
        (17, "17"),
    ],
)
def test_values_are_quoted_when_they_need_it(value, written):
    stream = installed()
    logs.get("x").info("e", value=value)
    assert stream.getvalue() == f"<6>e value={written}\n"


@given(st.text(max_size=30))
def test_no_text_breaks_a_line_or_reaches_a_terminal_raw(text):
    stream = installed()
    logs.get("x").info("e", value=text, after=1)
    line = stream.getvalue().removesuffix("\n")
    assert line.isprintable()
    assert line.startswith("<6>e value=")
    assert line.endswith(" after=1")


def test_a_very_long_value_is_cut():
    stream = installed()
    logs.get("x").info("e", value="a" * 100_000)
    assert len(stream.getvalue()) < logs.LONGEST_VALUE + 50


def test_an_exception_is_one_line_too():
    stream = installed()
    try:
        raise ValueError("no\nluck")
    except ValueError as error:
        logs.get("x").error("task_failed", trace=error)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith('<3>task_failed trace="Traceback')
    assert r"ValueError: no\nluck" in line


def test_libraries_are_heard_from_warnings_on_in_the_same_form():
    stream = installed()
    logging.getLogger("mqtt").info("chatter")
    logging.getLogger("mqtt").warning("There are %d pending calls", 11)
    assert stream.getvalue() == '<4>library name=mqtt message="There are 11 pending calls"\n'


def test_pythons_own_warnings_are_heard_as_well():
    stream = installed()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("<4>library name=py.warnings message=")


def test_installing_again_replaces_what_was_there():
    first = installed()
    second = installed()
    logs.get("x").info("e")
    assert (first.getvalue(), second.getvalue()) == ("", "<6>e\n")


def test_the_journal_is_known_by_its_socket(tmp_path):
    stream = tmp_path / "stderr"
    stream.touch()
    status = stream.stat()
    assert logs.under_journald({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, stream)
    assert not logs.under_journald({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}, stream)
    assert not logs.under_journald({}, stream)
    assert not logs.under_journald({"JOURNAL_STREAM": "1:2"}, tmp_path / "none")


# --- troubles that last -------------------------------------------------------------------------------------

MINUTE, HOUR = 60, 3600


def told(repeats, times):
    """Let a trouble occur at each time; return when it is told, with which count."""
    return [(now, count) for now in times if (count := repeats.again("air-1", now))]


def test_a_trouble_that_lasts_is_told_at_once_then_ever_more_seldom_and_every_occurrence_is_counted():
    repeats = logs.Repeats()
    lines = told(repeats, range(0, 4 * HOUR, 10))
    assert [now for now, _ in lines] == [0, MINUTE, 11 * MINUTE, 71 * MINUTE, 131 * MINUTE, 191 * MINUTE]
    assert [count for _, count in lines] == [1, 6, 60, 360, 360, 360]


def test_when_it_is_well_again_that_is_told_once():
    repeats = logs.Repeats()
    told(repeats, [0, 10, 20])
    assert repeats.well("air-1", 30) == (2, 30)
    assert repeats.well("air-1", 40) is None
    assert repeats.well("another", 40) is None


def test_a_trouble_that_comes_and_goes_each_second_is_told_no_more_often_than_one_that_stays():
    repeats = logs.Repeats()
    lines = 0
    for second in range(HOUR):
        lines += repeats.again("air-1", second) > 0
        lines += repeats.well("air-1", second + 0.5) is not None
    assert lines <= 2 * 3


def test_a_trouble_that_comes_back_after_a_long_time_is_told_at_once():
    repeats = logs.Repeats()
    assert repeats.again("air-1", 0) == 1
    assert repeats.well("air-1", 1) is not None
    assert repeats.again("air-1", 2 * HOUR) == 1


def test_troubles_are_told_apart():
    repeats = logs.Repeats()
    assert repeats.again(("air-1", "missing"), 0) == 1
    assert repeats.again(("air-1", "taken"), 1) == 1
    assert repeats.again(("air-2", "missing"), 2) == 1
    assert repeats.again(("air-1", "missing"), 3) == 0


@given(st.lists(st.tuples(st.floats(0, 5000), st.booleans()), max_size=60))
def test_no_occurrence_is_told_twice_or_forgotten(steps):
    repeats = logs.Repeats()
    now = occurred = counted = 0
    for wait, broken in steps:
        now += wait
        if broken:
            occurred += 1
            counted += repeats.again("air-1", now)
        elif spell := repeats.well("air-1", now):
            counted += spell.times
            assert spell.lasted <= now
    assert counted <= occurred


def test_a_reader_that_stalls_does_not_stall_whoever_logs_and_what_was_dropped_is_counted():
    class Stalling(io.StringIO):
        def __init__(self):
            super().__init__()
            self.goes_on, self.caught_up = threading.Event(), threading.Event()

        def write(self, text):
            self.goes_on.wait(10)
            written = super().write(text)
            if self.getvalue().count("\n") >= logs.QUEUED_LINES:
                self.caught_up.set()
            return written

    stream = Stalling()
    logs.install(logs.for_journald(stream))
    with logs.in_background():
        for number in range(logs.QUEUED_LINES + 500):
            logs.get("test").warning("event", number=number)
        stream.goes_on.set()
        assert stream.caught_up.wait(10)
        logs.get("test").warning("afterwards")

    lines = stream.getvalue().splitlines()
    assert lines[0] == "<4>event number=0"
    assert lines[-1].startswith("<4>afterwards lines_dropped=")
    assert len(lines) + int(lines[-1].partition("=")[2]) == logs.QUEUED_LINES + 501
