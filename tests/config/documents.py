"""Makes TOML texts in every style, and knows on which line each key stands because it wrote it there."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

BARE = st.text("abcdeXYZ019_-", min_size=1, max_size=4)
ODD = st.sampled_from(["", "a b", "a.b", "[x]", "=", "#", 'q"', "ถนน", "\\", "it's", "\t"])
KEYS = st.one_of(BARE, BARE, ODD)
SCALARS = st.sampled_from([
    "1", "0x1F", "1_000", "2.5e3", "inf", "true", "false", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00", "07:32:00",
    '"plain"', '"with # and ] and } and , and \\" and \\\\"', "'literal \\ # ]'", '""', "''",
    '"""one\ntwo # no comment\n[no.table]\nno = "key" \\""" """',
    '"""a""b""c"""', '"""x"""""', "'''\n[x]\ny = 1''two'''",
    '"""\\\n   joined"""',
])  # fmt: skip
COMMENTS = st.sampled_from(["", "", "  # a comment", " # [no.table] no = 1", "\t# ท่อ"])
GAPS = st.sampled_from(["", "", "\n", "# between\n", "   \n\t\n", '# "\n', "# '''\n"])

TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.lists(st.dictionaries(KEYS, inner, max_size=2), min_size=1, max_size=3),
    ),
    max_leaves=12,
)


class Writer:
    """Writes one tree as TOML; `lines` is where each key path was written first."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[tuple[str | int, ...], int] = {}

    def note(self, path: tuple[str | int, ...]) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def key(self, name: str) -> str:
        basic = json.dumps(name, ensure_ascii=self.draw(st.booleans()))
        styles = [basic]
        if name and all(c in "abcdeXYZ019_-" for c in name):
            styles.append(name)
        if "'" not in name and name.isprintable():
            styles.append(f"'{name}'")
        return self.draw(st.sampled_from(styles))

    def dotted(self, path: tuple[str, ...]) -> str:
        return self.draw(st.sampled_from([".", " . ", ".\t"])).join(self.key(part) for part in path)

    def table(self, path: tuple[str | int, ...], header: tuple[str, ...], tree: dict[str, Any]) -> None:
        later = []
        for name, value in tree.items():
            style = self.draw(st.sampled_from(["here", "header", "dotted"]))
            if isinstance(value, dict) and value and style == "dotted":
                for inner, leaf in value.items():
                    self.pair(path, (name, inner), leaf)
            elif _has_headers(value) and style == "header":
                later.append((name, value))
            else:
                self.pair(path, (name,), value)
        for name, value in later:
            self.section((*path, name), (*header, name), value)

    def section(self, path: tuple[str | int, ...], header: tuple[str, ...], value: Any) -> None:
        for index, each in enumerate(value) if isinstance(value, list) else ((None, value),):
            self.text += self.draw(GAPS)
            here = path if index is None else (*path, index)
            for end in range(1, len(here) + 1):
                self.note(here[:end])
            name = self.dotted(header)
            self.text += (f"[{name}]" if index is None else f"[[ {name} ]]") + self.draw(COMMENTS) + "\n"
            self.table(here, header, each)

    def pair(self, path: tuple[str | int, ...], names: tuple[str, ...], value: Any) -> None:
        self.text += self.draw(GAPS)
        for end in range(1, len(names) + 1):
            self.note((*path, *names[:end]))
        self.text += self.draw(st.sampled_from(["", "  ", "\t"])) + self.dotted(names) + " = "
        self.value((*path, *names), value)
        self.text += self.draw(COMMENTS) + "\n"

    def value(self, path: tuple[str | int, ...], value: Any) -> None:
        if isinstance(value, str):
            self.text += value
        elif isinstance(value, dict):
            self.text += "{ "
            for position, (name, inner) in enumerate(value.items()):
                self.text += ", " if position else ""
                self.note((*path, name))
                self.text += self.key(name) + " = "
                self.value((*path, name), inner)
            self.text += " }"
        else:
            self.array(path, value)

    def array(self, path: tuple[str | int, ...], values: list[Any]) -> None:
        space = st.sampled_from(["", " ", "\n", " # ], [ and ,\n", "\n\n  "])
        self.text += "["
        for index, inner in enumerate(values):
            self.text += self.draw(space)
            self.note((*path, index))
            self.value((*path, index), inner)
            self.text += self.draw(space)
            self.text += "," if index < len(values) - 1 or self.draw(st.booleans()) else ""
        self.text += self.draw(space) + "]"


def _has_headers(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)
    )


@st.composite
def documents(draw: Any) -> tuple[str, dict[tuple[str | int, ...], int]]:
    """Return a TOML text and the line of each key path in it."""
    writer = Writer(draw)
    writer.table((), (), draw(st.dictionaries(KEYS, TREES, max_size=4)))
    return writer.text, writer.lines
