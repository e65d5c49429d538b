"""The list of gateways whose cards are to be made: a CSV file, of which everything is checked before the first card.

    gateway,config,label,serial,claim,network
    pkt-0042,sites/pkt-0042.toml,labels/pkt-0042.pdf,10000000a3b1c2d4,,

Only `gateway` is needed. `serial` is the Pi's own number, so that nobody lists one Pi twice; `claim` is a file with a
claim that was made elsewhere, `network` a connection profile of this gateway alone. Paths are below the folder of the
list. Columns may be separated by semicolons or tabs, too, as spreadsheets do in some countries.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.config.load import load
from agent.config.problems import ConfigError
from agent.enrolling.claims import LONGEST_SUBJECT, SUBJECT, ClaimError, read
from agent.flashing import label as labels
from agent.flashing.medium import FlashError
from agent.flashing.network import profiles
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COLUMNS = ("gateway", "config", "label", "serial", "claim", "network")
SEPARATORS = ",;\t"
SERIAL = re.compile(r"[0-9a-f]{8,16}")  # /proc/cpuinfo
LARGEST = 8 << 20  # bytes


class ManifestError(Exception):
    """All that is wrong with a list, a line each: `FILE:LINE: what`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Row:
    """One gateway."""

    line: int
    gateway: str
    config: Path
    label: Path | None
    serial: str
    claim: Path | None
    network: Path | None = None


def read_manifest(path: Path, now: float, country: str = "") -> list[Row]:
    """Return the rows of a list whose every line is right; raises ManifestError.

    `now` is the present time in seconds since 1970, `country` where the Wi-Fi of these gateways is.
    """
    rows, problems = _rows(path)
    problems += _duplicates(path, rows)
    for row in rows:
        problems += _wrong(path, row, now, country)
    if not rows and not problems:
        problems.append(_("{path}: lists no gateway").format(path=path))
    if problems:
        raise ManifestError(problems)
    return rows


def _rows(path: Path) -> tuple[list[Row], list[str]]:
    """Return what stands in the lines, and which of them are none."""
    try:
        data = path.read_bytes()
        if len(data) > LARGEST:
            raise ManifestError([_("{path}: is too large for a list of gateways").format(path=path)])
        lines = data.decode("utf-8-sig").splitlines()
        separator = max(SEPARATORS, key=lambda one: lines[0].count(one) if lines else 0)
        reader = csv.DictReader(lines, restkey="", strict=True, delimiter=separator)
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        _check_names(path, names)
        reader.fieldnames = names
        rows, problems = [], []
        for fields in reader:
            told = {name: (value or "").strip() for name, value in fields.items() if name}
            if not any(told.values()):
                continue
            if fields.get(""):
                problems.append(_("{path}:{line}: has more columns than the first line").format(
                    path=path, line=reader.line_num
                ))  # fmt: skip
            rows.append(_row(path, reader.line_num, told))
    except OSError as error:
        raise ManifestError([f"{path}: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(
            [_("{path}:{line}: is not UTF-8 text; save it as UTF-8").format(path=path, line=line)]
        ) from None
    except csv.Error as error:
        text = _("{path}:{line}: is no CSV: {error}").format(path=path, line=reader.line_num, error=error)
        raise ManifestError([text]) from None
    return rows, problems


def _check_names(path: Path, names: list[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    if "gateway" not in names:
        raise ManifestError([_("{path}:1: the first line must name the columns: {columns}").format(
            path=path, columns=",".join(COLUMNS)
        )])  # fmt: skip
    if unknown or len(set(names)) < len(names):
        text = _("{path}:1: '{name}' is no column, or is there twice; there are: {columns}")
        name = unknown[0] if unknown else next(one for one in names if names.count(one) > 1)
        raise ManifestError([text.format(path=path, name=name, columns=",".join(COLUMNS))])


def _row(path: Path, line: int, told: dict[str, str]) -> Row:
    gateway = told["gateway"]
    below = path.parent
    claim = told.get("claim")
    return Row(
        line=line,
        gateway=gateway,
        config=below / (told.get("config") or f"{gateway}.toml"),
        label=below / told["label"] if told.get("label") else None,
        serial=told.get("serial", "").lower(),
        claim=below / claim if claim else None,
        network=below / told["network"] if told.get("network") else None,
    )


def _duplicates(path: Path, rows: list[Row]) -> list[str]:
    problems = []
    for name in ("gateway", "serial", "label"):
        seen: dict[str, int] = {}
        for row in rows:
            value = getattr(row, name)
            if value and value in seen:
                text = _("{path}:{line}: {name} {value} stands in line {first} already")
                problems.append(text.format(path=path, line=row.line, name=name, value=value, first=seen[value]))
            seen.setdefault(value, row.line)
    return problems


def _wrong(path: Path, row: Row, now: float, country: str) -> list[str]:
    """Return what is wrong with one gateway."""
    where = f"{path}:{row.line}"
    if not SUBJECT.fullmatch(row.gateway) or len(row.gateway) > LONGEST_SUBJECT:
        text = _("{where}: '{name}' is no id: it is made of lower-case letters, digits and single hyphens")
        return [text.format(where=where, name=row.gateway)]
    problems = []
    try:
        config = load(row.config)
        if config.gateway.id != row.gateway:
            text = _("{where}: {config} is the configuration of {other}, not of {gateway}")
            other = config.gateway.id
            problems.append(text.format(where=where, config=row.config, other=other, gateway=row.gateway))
    except ConfigError as error:
        problems += [f"{where}: {problem}" for problem in error.problems]
    if row.serial and not SERIAL.fullmatch(row.serial):
        text = _("{where}: {serial} is no serial number of a Pi; have the spreadsheet keep that column as text")
        problems.append(text.format(where=where, serial=row.serial))
    if row.label is not None and (reason := labels.why_not(row.label)):
        problems.append(f"{where}: {reason}")
    if row.claim is not None:
        problems += _wrong_claim(where, row, row.claim, now)
    if row.network is not None:
        try:
            profiles([row.network], country)
        except FlashError as error:
            problems.append(f"{where}: {error}")
        except OSError as error:
            problems.append(f"{where}: {row.network}: {error.strerror}")
    return problems


def _wrong_claim(where: str, row: Row, path: Path, now: float) -> list[str]:
    try:
        claim = read(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        why = str(error) if isinstance(error, ClaimError) else getattr(error, "strerror", None) or _("is no text")
        return [f"{where}: {path}: {why}"]
    if claim.gateway != row.gateway:
        text = _("{where}: {path} is a claim for {other}, not for {gateway}")
        return [text.format(where=where, path=path, other=claim.gateway, gateway=row.gateway)]
    if claim.until <= now:
        return [f"{where}: {path}: " + _("this claim has expired; have the workshop make another")]
    return []
