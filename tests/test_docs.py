"""The documents hang together: every link leads somewhere, and every page is reached from the README."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def links(page):
    """Return the files of the project that a page links to."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [(page.parent / link).resolve() for link in found if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert [str(link) for link in links(page) if not link.exists()] == []


def test_every_page_is_reached_from_the_readme():
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in seen and page.suffix == ".md" and page.exists():
            seen.add(page)
            ahead += links(page)
    assert sorted(str(page.relative_to(ROOT)) for page in PAGES if page not in seen) == []


def test_the_decisions_are_headed_alike_and_all_are_in_the_index():
    index = (DOCS / "decisions/README.md").read_text("utf-8")
    listed = re.findall(r"^- \[(.*)\]\((.*)\)$", index, re.MULTILINE)
    headings = [page.read_text("utf-8").partition("\n")[0] for page in DECISIONS]
    assert [heading.partition(". ")[0] for heading in headings] == [f"# {int(page.name[:4])}" for page in DECISIONS]
    assert listed == [
        (heading.removeprefix("# "), page.name) for heading, page in zip(headings, DECISIONS, strict=True)
    ]
