"""Draws what `roadside doctor` prints as pictures for the documents: `python -m tests.doctor.pictures`.

Each line is placed by its terminal cells, so that Thai stands aligned whatever font shows it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from agent.commands.doctor import lines, summary
from agent.doctor.examine import examine
from agent.i18n import speaking, width
from tests.doctor.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCS = Path(__file__).parents[2] / "docs"
CELL, LINE, MARGIN = 8.4, 19, 14  # pixels
WIDEST = 116  # cells; what is longer is cut, as a terminal would wrap it
COLOURS = {"32": "#8ae234", "31": "#ff6b6b", "33": "#fce94f", "90": "#888a85", "1": "#ffffff"}
STYLED = re.compile(r"\x1b\[(\d+)m(.*?)\x1b\[0m")


def pictures() -> dict[Path, str]:
    """Return what each picture has to be."""
    return {DOCS / "doctor.svg": _picture("en"), DOCS / "doctor.th.svg": _picture("th")}


def _picture(language: str) -> str:
    with TemporaryDirectory() as name, speaking(language):
        tree = Tree(Path(name))
        tree.replace("boot/firmware/cmdline.txt", "console=tty1", "console=serial0,115200 console=tty1")
        found = [one for one in examine(replace(tree.card(), run=tree.systemd)) if one.name != "card.space"]
        text = "\n".join([*lines(found), "", summary(found)]).replace(f"{name}/boot/firmware", "/media/bootfs")
        text = text.replace(name, "/media/rootfs")
    return _svg(["$ roadside doctor --card /media/bootfs --card /media/rootfs", "", *text.splitlines()])


def _svg(printed: Sequence[str]) -> str:
    high, wide = len(printed) * LINE + 2 * MARGIN, round(WIDEST * CELL) + 2 * MARGIN
    drawn = "\n".join(
        part for number, line in enumerate(printed) for part in _line(line, MARGIN + (number + 1) * LINE - 5)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-size="14" xml:space="preserve"\n'
        f'  font-family="DejaVu Sans Mono, Noto Sans Mono, Noto Sans Thai, monospace" fill="#d3d7cf">\n'
        f'<rect width="{wide}" height="{high}" rx="8" fill="#1e2326"/>\n{drawn}\n</svg>\n'
    )


def _line(line: str, y: int) -> Iterator[str]:
    """Yield the parts of a line: what is styled, and what is not."""
    at, cells = 0, 0
    for styled in STYLED.finditer(line):
        yield from _part(line[at : styled.start()], cells, y)
        cells += width(line[at : styled.start()])
        yield from _part(styled[2], cells, y, COLOURS[styled[1]])
        cells += width(styled[2])
        at = styled.end()
    yield from _part(line[at:], cells, y)


def _part(text: str, cells: int, y: int, colour: str = "") -> Iterator[str]:
    indent = len(text) - len(text.lstrip(" "))
    shown = text.strip()[: WIDEST - cells]
    if shown:
        fill = f' fill="{colour}"' if colour else ""
        yield f'<text x="{MARGIN + (cells + indent) * CELL:.1f}" y="{y}"{fill}>{escape(shown)}</text>'


def main() -> None:
    """Write the pictures that have changed."""
    for path, text in pictures().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"{path.name} is written")  # noqa: T201


if __name__ == "__main__":
    main()
