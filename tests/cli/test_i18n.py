import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from agent import i18n
from agent.commands.wording import DETAILS
from agent.i18n import language, pad, retold, width


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
        ({"LANG": "en_GB.UTF-8", "LANGUAGE": "th"}, "th"),
        ({"LANG": "th_TH.UTF-8", "LANGUAGE": "en_GB:th"}, "en"),
        ({"LANG": "th_TH.UTF-8", "LANGUAGE": "de:th_TH"}, "th"),
        ({"LANG": "th_TH.UTF-8", "LANGUAGE": "de"}, "en"),
        ({"LC_ALL": "C", "LANGUAGE": "th"}, "en"),
        ({"LANG": "th_TH@latin"}, "th"),
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


@pytest.fixture
def in_thai():
    i18n.install("th")
    yield
    i18n.install("en")


@pytest.mark.usefixtures("in_thai")
@pytest.mark.parametrize(
    ("english", "thai"),
    [
        ("the device is gone", "อุปกรณ์หายไป"),
        ("nobody listens at a:1883; does the broker run?", "ไม่มีใครรอรับที่ a:1883 โบรกเกอร์ทำงานอยู่หรือไม่"),
        ("another process has it open", "โปรแกรมอื่น เปิดใช้อยู่"),
        ("[Errno 28] No space left on device: '/a'", "ไม่มีที่ว่างเหลือ: '/a' (รหัส 28)"),
        (
            "gateway.toml:14: devices.b.pin: must be 27 or less, not 40",
            "gateway.toml:14: devices.b.pin: ต้องไม่เกิน 27 ไม่ใช่ 40",
        ),
        ("nothing that we have ever said", "nothing that we have ever said"),
        ("a: b", "a: b"),
        ("", ""),
    ],
)
def test_what_the_agent_said_in_english_is_said_again_in_thai(english, thai):
    assert retold(english) == thai


@pytest.mark.usefixtures("in_thai")
@given(st.text(max_size=40), st.sampled_from(DETAILS))
def test_whatever_is_retold_is_a_text(text, detail):
    assert isinstance(retold(text), str)
    assert isinstance(retold(detail + text), str)


def test_to_whoever_reads_english_it_stays_as_it_is():
    assert retold("the device is gone") == "the device is gone"
