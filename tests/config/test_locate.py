import tomllib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.config.locate import Repeat, locate
from tests.config.documents import documents


def paths(node, path=()):
    """Return the path of every key and element of what tomllib read."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = set()
    for key, value in items:
        found |= {(*path, key)} | paths(value, (*path, key))
    return found


@settings(max_examples=80)
@given(documents())
def test_it_finds_the_keys_that_tomllib_reads_and_the_lines_where_they_were_written(document):
    text, lines = document
    located = locate(text)
    assert set(located.lines) == paths(tomllib.loads(text))
    assert located.lines == lines
    assert located.repeats == []


@settings(max_examples=20)
@given(documents())
def test_windows_line_ends_change_nothing(document):
    text, lines = document
    assert locate(text.replace("\n", "\r\n")).lines == lines


@settings(max_examples=50)
@given(documents(), st.data())
def test_it_never_fails_on_a_text_that_is_cut_or_damaged(document, data):
    text, lines = document
    cut = data.draw(st.integers(0, len(text)))
    rest = data.draw(st.text("[]{}=.,\"'#\\\n ab1", max_size=8))
    located = locate(text[:cut] + rest)
    whole = {path: line for path, line in lines.items() if line <= text.count("\n", 0, cut)}
    last = max(whole.values(), default=0)
    assert {path: line for path, line in whole.items() if line < last}.items() <= located.lines.items()


@given(st.text("[]{}=.,\"'#\\\n\r\t abu1é", max_size=60))
@example("[" * 5000)
@example("a = " + "[" * 5000)
@example("a = " + "{a=" * 5000)
@example('"\\UFFFFFFFF" = 1')
def test_it_never_fails_on_anything(text):
    located = locate(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in located.lines.values())


def test_a_table_or_key_that_stands_twice_is_told_with_both_lines():
    text = '[devices.air-1]\ndriver = "x"\n[devices.b]\n[devices.air-1]\n[c]\na = 1\na.b = 2\n'
    assert locate(text).repeats == [Repeat(("devices", "air-1"), 1, 4)]
    assert locate("a = 1\nb = 2\na = 3").repeats == [Repeat(("a",), 1, 3)]


def test_elements_of_arrays_of_tables_have_their_own_lines():
    text = "[[a.b]]\nc = 1\n[a.b.d]\ne = 2\n[[a.b]]\nc = 3\n"
    lines = locate(text).lines
    assert lines["a", "b", 0, "c"] == 2
    assert lines["a", "b", 0, "d", "e"] == 4
    assert lines["a", "b", 1] == 5
    assert lines["a", "b", 1, "c"] == 6
