"""Gathers the texts that a technician reads and compiles the Thai catalogue: `make messages`.

Texts are marked `_("...")` or `ngettext("...", "...", n)` where they are shown, `N_("...")` where they are only told.
A text whose English changed has no translation until somebody writes one in agent/locale/th/LC_MESSAGES/roadside.po.
"""

from __future__ import annotations

import argparse
import io
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
PROFILES = ROOT / "drivers/profiles"  # of Modbus devices: their notes are read by technicians too
FOLDERS = ("agent", "drivers", "hil")
PO = ROOT / "agent/locale/th/LC_MESSAGES/roadside.po"
MO = PO.with_suffix(".mo")
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
HEADER = """\
# Texts of Roadside in Thai. After a change: make messages
msgid ""
msgstr ""
"Language: th\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"Content-Type: text/plain; charset=utf-8\\n"

"""

# The frame that click puts around help and mistakes; its words are looked up in our catalogue too.
CLICK = (
    "Usage:",
    "Options",
    "Commands",
    "Show this message and exit.",
    "Show the version and exit.",
    "%(prog)s, version %(version)s",
    "Error: {message}",
    "Try '{command} {option}' for help.",
    "No such command {name!r}.",
    "No such option {name!r}.",
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    "Missing command.",
    "Missing argument",
    "Missing option",
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    "Option {name!r} does not take a value.",
    "Invalid value: {message}",
    "Invalid value for {param_hint}: {message}",
    "{value!r} is not a valid {number_type}.",
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    "{value} is not in the range {range}.",
    "{name} {filename!r} does not exist.",
    "{name} {filename!r} is a file.",
    "{name} {filename!r} is a directory.",
    "file",
    "directory",
    "path",
    "default: {default}",
    "required",
)


def gathered() -> Catalog:
    """Return a catalogue of all texts in the code, without translations."""
    catalog = Catalog()
    for folder in FOLDERS:
        for file, line, message, _comments, _context in extract_from_dir(ROOT / folder, keywords=KEYWORDS):
            catalog.add(message, locations=[(f"{folder}/{file}", line)])
    for path in sorted(PROFILES.glob("*.toml")):
        for note in tomllib.loads(path.read_text("utf-8")).get("notes", ()):
            catalog.add(note, locations=[(str(path.relative_to(ROOT)), 1)])
    for message in CLICK:
        catalog.add(message)
    return catalog


def thai() -> Catalog:
    """Return the Thai catalogue as it is written."""
    with PO.open("rb") as file:
        catalog = read_po(file, locale="th", charset="utf-8")
    # Babel puts today's date into what it compiles; the same texts shall compile to the same bytes.
    catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    return catalog


def compiled(catalog: Catalog) -> bytes:
    """Return the catalogue as gettext reads it."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def save(catalog: Catalog) -> None:
    """Write the catalogue, and what gettext reads."""
    buffer = io.BytesIO()
    write_po(buffer, catalog, sort_output=True, no_location=True, omit_header=True, ignore_obsolete=True, width=120)
    PO.write_bytes(HEADER.encode() + buffer.getvalue())
    MO.write_bytes(compiled(thai()))


def main(arguments: Sequence[str] = ()) -> None:
    """Bring the catalogue up to date with the code, and compile it."""
    argparse.ArgumentParser(prog="python -m tests.messages", description=__doc__).parse_args(arguments)
    catalog = thai()
    catalog.update(gathered(), no_fuzzy_matching=True)
    save(catalog)


if __name__ == "__main__":
    main(sys.argv[1:])
