"""Writes what the documents say of drivers: docs/drivers/*.md and the tables in README.md: `make pages`.

All of it comes from the drivers themselves and from tests/drivers/recordings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.commands.description import Section, example_table, facts, few, measured, sections, setting_rows
from agent.config.devices import PORT_HELP, Common
from agent.config.hints import hints
from agent.config.model import AlarmRule, Rules
from drivers import registry
from drivers.contract import (
    BusOutputDriver,
    GatewayDriver,
    ListeningDriver,
    OutputDriver,
    PollingDriver,
    RangingDriver,
)
from drivers.meanings import FAULTS, REASONS
from drivers.quantities import QUANTITIES
from tests.drivers import recordings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.contract import Driver

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/drivers"
README = ROOT / "README.md"
MARK = "<!-- made by `make pages`: the drivers -->"
END = "<!-- end -->"
GENERATED = "<!-- made by `make pages`; change drivers/ instead -->"
CODED = {"Quantity", "Key", "Reason", "Fault", "Value", "Default"}  # columns of names and values
LONGEST = 25  # lines of a recording that are shown


def pages() -> dict[Path, str]:
    """Return what each file has to hold."""
    drivers = [registry.load(name) for name in sorted(registry.TABLE)]
    texts = {FOLDER / f"{driver.name}.md": "\n".join(_page(driver)) for driver in drivers}
    texts[FOLDER / "README.md"] = "\n".join(_overview(drivers))
    before, mark, rest = README.read_text("utf-8").partition(MARK)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"README.md has lost its marks {MARK} and {END}")
    texts[README] = "\n".join([before + MARK, *_list(drivers, "docs/drivers/"), END + after])
    return texts


def _list(drivers: Sequence[Driver], folder: str) -> Iterator[str]:
    yield from _table(
        ("driver", "devices", "connection", "measures"),
        [
            (f"[`{driver.name}`]({folder}{driver.name}.md)", driver.title, _connection(driver), few(measured(driver)))
            for driver in drivers
        ],
    )


def _connection(driver: Driver) -> str:
    if isinstance(driver, ListeningDriver):
        return f"serial {driver.line}"
    if isinstance(driver, PollingDriver | BusOutputDriver):
        kind = "Modbus" if driver.profile else "serial, asked"
        return f"{kind} {driver.line}"
    if isinstance(driver, GatewayDriver):
        return "the gateway itself"
    if isinstance(driver, RangingDriver):
        return "two GPIO pins"
    return "GPIO output" if isinstance(driver, OutputDriver) else "GPIO input"


def _page(driver: Driver) -> Iterator[str]:
    yield GENERATED
    yield f"# {driver.name}: {driver.title}"
    yield ""
    for label, text in facts(driver):
        yield f"* {label}: {text}"
    for section in sections(driver):
        yield from _section(section)
    yield ""
    yield f"Port, label, rules and alarms: [{EVERY.lower()}](README.md#{EVERY.lower().replace(' ', '-')})."
    yield from ("", "## Example", "", "```toml")
    yield from ("  ".join(line) for line in example_table(driver))
    yield "```"
    yield from _recording(driver)
    yield ""


def _section(section: Section) -> Iterator[str]:
    if not section.rows:
        return
    yield from ("", f"## {section.heading}", "")
    if len(section.rows[0]) == 1:
        yield from (f"* {text}" for (text,) in section.rows)
    else:
        yield from _table(section.columns, section.rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for row in rows:
        cells = (_cell(text, code=column in CODED) for column, text in zip(columns, row, strict=True))
        yield f"| {' | '.join(cells)} |"


def _cell(text: str, *, code: bool) -> str:
    return f"`{text}`" if code and text not in {"", "-", "required"} else text.replace("|", r"\|").replace("<", "&lt;")


def _recording(driver: Driver) -> Iterator[str]:
    """Yield the first recording of a device from which values came, and what `roadside decode` makes of it."""
    if driver.name not in recordings.names():
        return
    told = (one for one in recordings.recordings(driver.name) if any('"value": ' in line for line in one.expected))
    shown = next(told, None)
    if shown is None:
        return
    inputs = [line for line in shown.head if not line.startswith(("#", "--"))]
    options = " ".join(line for line in shown.head if line.startswith("--"))
    kind = inputs[0].partition(" ")[0]
    notation = {"hex": " --hex", "text": " --escaped"}.get(kind, "")
    text = "\n".join(line.partition(" ")[2].strip("\"'") for line in inputs)
    command = " ".join(f"roadside decode {driver.name} {options}".split()) + notation
    yield from ("", "## A recording", "", "```console", f"$ {command} <<'.'", text, ".")
    yield from shown.expected[:LONGEST]
    yield from ["..."] * (len(shown.expected) > LONGEST)
    yield "```"


def _overview(drivers: Sequence[Driver]) -> Iterator[str]:
    yield GENERATED
    yield from INTRODUCTION.splitlines()
    yield from _list(drivers, "")
    yield from DECODING.splitlines()
    rows = [(reason.value, text) for reason, text in REASONS.items()]
    yield from _section(Section("Reasons for which there is no value", ("Reason", "means"), rows))
    rows = [(fault.value, text) for fault, text in FAULTS.items()]
    yield from _section(Section("Faults", ("Fault", "means"), rows))
    yield from ("", f"## {EVERY}", "", "Where no default is given, it is the driver's own.", "")
    port = ("port", "text or table", "", PORT_HELP)
    yield from _table(SETTINGS, [*setting_rows(Common, {"driver"}), port, *setting_rows(Common, OTHERS)])
    yield from _section(Section("Rules of a quantity, such as [devices.air-1.pm2_5]", SETTINGS, setting_rows(Rules)))
    yield from _section(Section("Alarms, such as [[devices.level-1.alarms]]", SETTINGS, setting_rows(AlarmRule)))
    rows = [(name, unit, title) for name, (unit, title) in QUANTITIES.items()]
    yield from _section(Section("Quantities", ("Quantity", "Unit", ""), rows))
    yield ""


EVERY = "What every device has"
SETTINGS = ("Key", "Value", "Default", "")
OTHERS = hints(Common).keys() - {"driver"}

INTRODUCTION = """
# What can be connected

The same as `roadside drivers` and `roadside drivers NAME` say, also in Thai. All of it is data or a decoder of about
a hundred lines; [write-a-driver.md](../write-a-driver.md) says how to add one.
"""

DECODING = """
## Decoding a recording

    roadside decode DRIVER [--set KEY=VALUE]... [FILE] [--hex | --escaped] [--detail]

turns what a device sent into lines of JSON. It needs no configuration, no hardware and no root.

* It reads raw bytes, from FILE or from standard input; of a pipe that goes on, it prints what comes as it comes.
  `--hex` takes hexadecimal digits in any usual form (`42 4D`, `424d`, `0x42, 0x4D`, `42:4D`, over several lines, `#`
  begins a comment), `--escaped` a text with Python's escapes (`R0925\\r`); a line break at its very end is not taken
  for a byte.
* Lines are `{"quantity": "pm2_5", "value": 8, "unit": "ug/m3"}`, or without a value `{"quantity": "water_level",
  "value": null, "reason": "no_echo"}`, or `{"fault": "checksum", "offset": 32}` with the place of the first byte
  concerned, counted from 0, or the time of day of a receiver that knows it, `{"time": "2026-11-22T19:26:52Z"}`. What
  has no unit, such as a state, is told without one.
* `--detail` adds to each fault what was seen there, or why it is one.
* What is incomplete when the recording ends is the fault `truncated`. A frame behind it is found all the same.
* Settings are those of the driver. Pins need not be given. Of a device that is asked, a recording may hold the
  requests, too; of replies alone, `--set register=0` says where they begin if their length does not tell. `decode
  modbus --set profile=NAME` takes a profile of your own.
* A GPIO input takes edges: `0:1 1000:0 1065.2:1` are milliseconds and the level of the pin; the first is the level at
  start. It is played to one second behind the last edge, or `--for` so many.
* Exit status: 0 when all of it was read, whatever was in it; 1 if the file cannot be read; 2 if the command line is
  wrong; 65 if the text is not hexadecimal, not escaped, or no edges, with line and column; 78 if there is no such
  driver or setting.
"""


def main() -> None:
    """Write the files whose contents have changed, and remove pages of drivers that are gone."""
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for path in FOLDER.glob("*.md"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"{path.relative_to(ROOT)} is written")  # noqa: T201


if __name__ == "__main__":
    main()
