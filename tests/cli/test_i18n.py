import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from agent.i18n import language, pad, width


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "th_TH.UTF-8"}, "th"),
        ({"LANG": "th"}, "th"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "thai"}, "en"),
        ({"LANG": "th_TH.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "th_TH"}, "th"),
        ({"LANG": "th_TH.UTF-8", "LC_ALL": "", "LC_MESSAGES": ""}, "th"),
    ],
)
def test_the_language_follows_the_locale(environment, expected):
    assert language(environment) == expected


THAI = st.text(st.characters(min_codepoint=0x0E01, max_codepoint=0x0E5B, exclude_categories=["Cn"]), max_size=20)
LATIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x24F, exclude_categories=["Cc", "Cf"]), max_size=20)
WIDE = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=5)


@given(st.lists(st.one_of(THAI, LATIN, WIDE)).map("".join))
def test_width_is_what_rich_measures(text):
    assert width(text) == cell_len(text)


def test_a_thai_column_is_as_wide_as_an_english_one():
    thai, english = pad("ระดับน้ำ", 12), pad("Water level", 12)
    assert cell_len(thai) == cell_len(english) == 12
    assert pad("already too long", 3) == "already too long"
