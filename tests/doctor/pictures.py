"""Draws what `roadside doctor` and `status` print as pictures for the documents: `python -m tests.doctor.pictures`.

Each line is placed by its terminal cells, so that Thai stands aligned whatever font shows it.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from agent.commands import status
from agent.commands.doctor import lines, summary
from agent.doctor.examine import examine
from agent.i18n import speaking, width
from tests.doctor.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCS = Path(__file__).parents[2] / "docs"
CELL, LINE, MARGIN = 8.4, 19, 14  # pixels
WIDEST = 116  # cells
COLOURS = {"32": "#8ae234", "31": "#ff6b6b", "33": "#fce94f", "90": "#888a85", "1": "#ffffff"}
STYLED = re.compile(r"\x1b\[(\d+)m(.*?)\x1b\[0m")


def pictures() -> dict[Path, str]:
    """Return what each picture has to be."""
    return {
        DOCS / "doctor.svg": _doctor("en"),
        DOCS / "doctor.th.svg": _doctor("th"),
        DOCS / "status.svg": _status("en"),
        DOCS / "status.th.svg": _status("th"),
    }


def _status(language: str) -> str:
    """Draw the status of the gateway whose health stands in docs/wire.md as an example."""
    blocks = re.findall(r"```json\n(.*?)```", (DOCS / "wire.md").read_text("utf-8"), re.DOTALL)
    health = json.loads(next(block for block in blocks if '"running_for"' in block))
    with speaking(language):
        return _svg(["$ sudo roadside status", "", *status.lines(health)])


def _doctor(language: str) -> str:
    with TemporaryDirectory() as name, speaking(language):
        tree = Tree(Path(name))
        tree.replace("boot/firmware/cmdline.txt", "console=tty1", "console=serial0,115200 console=tty1")
        found = [one for one in examine(replace(tree.card(), run=tree.systemd)) if one.name != "card.space"]
        text = "\n".join([*lines(found), "", summary(found)]).replace(f"{name}/boot/firmware", "/media/bootfs")
        text = text.replace(name, "/media/rootfs")
    return _svg(["$ roadside doctor --card /media/bootfs --card /media/rootfs", "", *text.splitlines()])


def _svg(printed: Sequence[str]) -> str:
    printed = [part for line in printed for part in _wrapped(line)]
    high, wide = len(printed) * LINE + 2 * MARGIN, round(WIDEST * CELL) + 2 * MARGIN
    drawn = "\n".join(
        part for number, line in enumerate(printed) for part in _line(line, MARGIN + (number + 1) * LINE - 5)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-size="14" xml:space="preserve"\n'
        f'  font-family="DejaVu Sans Mono, Noto Sans Mono, Noto Sans Thai, monospace" fill="#d3d7cf">\n'
        f'<rect width="{wide}" height="{high}" rx="8" fill="#1e2326"/>\n{drawn}\n</svg>\n'
    )


def _wrapped(line: str) -> Iterator[str]:
    """Break a line that is too long at a space, as a terminal would do somewhere."""
    while width(STYLED.sub(r"\2", line)) > WIDEST:
        cut = next(at for at in range(len(line), 0, -1) if width(line[:at]) <= WIDEST)
        at = line.rfind(" ", 0, cut)
        yield line[:at]
        line = line[at + 1 :]
    yield line


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
    shown = text.strip()
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
