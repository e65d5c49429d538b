"""The check character of an id."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.flashing.identity import CHARACTERS, check_character, with_check, without_check

IDS = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,3}", fullmatch=True)


def test_it_is_that_of_the_standard():
    assert check_character("A12425GABC1234002") == "M"  # the example of the Global Release Identifier, which uses it


@given(IDS)
def test_what_is_copied_rightly_is_taken(gateway):
    assert without_check(with_check(gateway)) == gateway
    assert without_check(f" {with_check(gateway).upper()}\n") == gateway


@given(IDS, st.data())
def test_one_wrong_character_is_found(gateway, data):
    at = data.draw(st.integers(0, len(gateway) - 1))
    assume(gateway[at] != "-")
    wrong = data.draw(st.sampled_from(string.ascii_lowercase + string.digits).filter(lambda one: one != gateway[at]))
    copied = gateway[:at] + wrong + gateway[at + 1 :] + with_check(gateway)[-2:]
    with pytest.raises(ValueError):  # noqa: PT011 - it says what was copied, and no more
        without_check(copied)


def test_of_two_neighbours_that_have_changed_places_nearly_all_are_found():
    pairs = [(one, other) for one in CHARACTERS for other in CHARACTERS if one != other]
    texts = [(f"{first}{one}{other}", f"{first}{other}{one}") for first in CHARACTERS for one, other in pairs]
    missed = sum(check_character(text) == check_character(swapped) for text, swapped in texts)
    assert missed / len(texts) < 1 / 500


@pytest.mark.parametrize("text", ["", "-", "pkt", "ü-1", "pkt-0042-"])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - it says what was copied, and no more
        without_check(text)
