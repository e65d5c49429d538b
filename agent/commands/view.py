"""What `roadside watch` shows: lines for a pipe, and a table with sparklines for a terminal."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.commands import wording
from agent.config.problems import printable
from agent.i18n import _, retold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.console import RenderableType

Entry = dict[str, Any]  # as agent/watching.py makes them

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 32  # values in a sparkline
RAW_LINES = 10  # at the foot of the table
RAW_SHOWN = 32  # bytes of each


class Moment(NamedTuple):
    """Ties the boottime to the time of day; both in seconds."""

    boottime: float
    utc: float

    def day_and_time(self, at: float) -> str:
        """Return a boottime as the clock of the gateway, right or wrong, tells it."""
        return datetime.fromtimestamp(self.utc + at - self.boottime, UTC).isoformat(timespec="seconds")

    def time_of_day(self, at: float) -> str:
        """Return a boottime as a time of day, here."""
        when = datetime.fromtimestamp(self.utc + at - self.boottime, UTC).astimezone()
        return when.strftime("%H:%M:%S.") + f"{when.microsecond // 1000:03}"


def line(entry: Entry, moment: Moment) -> str:
    """Return an entry as a line."""
    return printable(f"{moment.time_of_day(entry['at'])} {entry['device']} {said(entry)}")


def said(entry: Entry) -> str:
    """Return what an entry says, without time and device."""
    if "hex" in entry:
        return f"{'>' if entry['sent'] else '<'} {entry['hex'].upper()}"
    if "fault" in entry:
        detail = f" ({retold(entry['detail'])})" if entry.get("detail") else ""
        return _("bad data: {fault}").format(fault=entry["fault"]) + detail
    return f"{entry['quantity']} {value(entry)}"


def value(entry: Entry) -> str:
    """Return a value with its unit, or why there is none."""
    if entry.get("reason"):
        return wording.word(entry["reason"])
    return f"{number(entry['value'])} {wording.unit(entry.get('unit') or '')}".rstrip()


def number(one: object) -> str:
    """Return a value as people write it."""
    if isinstance(one, bool):
        return str(one).lower()
    return f"{one:.6g}" if isinstance(one, float) else str(one)


def sparkline(values: Iterable[float | None]) -> str:
    """Return a row of bars between the least and the most; a gap where there is no value."""
    values = list(values)
    known = [one for one in values if one is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = high - low
    return "".join(
        " " if one is None else BARS[round((one - low) / span * (len(BARS) - 1))] if span else BARS[0] for one in values
    )


class _Row:
    """One quantity of a device."""

    def __init__(self) -> None:
        self.last: Entry = {}
        self.values: deque[float | None] = deque(maxlen=WIDTH)

    def take(self, entry: Entry) -> None:
        self.last = entry
        one = entry["value"]
        self.values.append(float(one) if isinstance(one, int | float) else None)


class Table:
    """The values of devices, the last first to be seen, and at the foot what passed on their lines."""

    def __init__(self, devices: Mapping[str, Mapping[str, Any]], moment: Moment) -> None:
        self._moment = moment
        self._titles = {name: f"{name} ({described['driver']})" for name, described in devices.items()}
        self._rows: dict[str, dict[str, _Row]] = {name: {} for name in devices}
        self._faults: dict[str, tuple[int, str]] = {}  # how many, and the last
        self._raw: deque[str] = deque(maxlen=RAW_LINES)
        self._missed = 0

    def take(self, entries: Iterable[Entry], missed: int) -> None:
        """Take what came, and how much did not."""
        self._missed += missed
        for entry in entries:
            device = entry["device"]
            if "hex" in entry:
                short = {**entry, "hex": entry["hex"][: 3 * RAW_SHOWN]}
                self._raw.append(line(short, self._moment))
            elif "fault" in entry:
                self._faults[device] = self._faults.get(device, (0, ""))[0] + 1, said(entry)
            else:
                self._rows[device].setdefault(entry["quantity"], _Row()).take(entry)

    def rendered(self) -> RenderableType:
        """Return it for rich."""
        from rich.console import Group
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=None, pad_edge=False)
        for heading in (_("Device"), _("Quantity"), _("Value"), "", _("At")):
            table.add_column(heading, no_wrap=True)
        for cells in self._cells():
            table.add_row(*(Text(printable(cell)) for cell in cells))
        return Group(table, *(Text(printable(one), no_wrap=True, overflow="ellipsis") for one in self._foot()))

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for device, rows in self._rows.items():
            title = self._titles[device]
            if not rows:
                yield title, _("nothing heard yet"), "", "", ""
            for quantity, row in rows.items():
                bars = "" if isinstance(row.last["value"], str) else sparkline(row.values)
                yield title, quantity, value(row.last), bars, self._moment.time_of_day(row.last["at"])
                title = ""

    def _foot(self) -> Iterator[str]:
        for device, (count, last) in self._faults.items():
            yield f"{device}: {last} ({count})"
        if self._missed:
            yield missed_text(self._missed)
        yield from self._raw


def missed_text(count: int) -> str:
    """Return what is said of entries that nobody read in time."""
    return _("{count} entries missed: this terminal is too slow").format(count=count)
