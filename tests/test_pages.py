"""The pages of drivers are what the drivers say now."""

import pytest

from tests.pages import FOLDER, ROOT, pages

PAGES = pages()


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_a_page_is_up_to_date(path):
    assert path.exists(), "make pages"
    assert path.read_text("utf-8") == PAGES[path], "make pages"


def test_there_is_no_page_of_a_driver_that_is_gone():
    assert {*FOLDER.glob("*.md")} <= PAGES.keys(), "make pages"
