"""The Modbus profiles that a configuration names: files, checked as strictly as the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config.plain import plain
from agent.config.problems import ConfigError, Problems, Source, shown
from agent.config.tables import read
from agent.i18n import _
from drivers.modbus import own, reading
from drivers.modbus.mistakes import mistakes
from drivers.modbus.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.config.locate import KeyPath
    from drivers.contract import Driver


class Profiles:
    """Makes drivers of profiles; each file is read once, and its text kept."""

    def __init__(
        self,
        read_file: Callable[[Path], Source],
        parse: Callable[[Source], dict[str, Any]],
        kept: Mapping[str, str] | None = None,
    ) -> None:
        """Take how a file is read and how its text is understood; `kept` are texts by path in place of the files."""
        self._read_file = read_file
        self._parse = parse
        self._kept = kept
        self._made: dict[str, Profile | None] = {}
        self.texts: dict[str, str] = {}  # by path, of those that could be used

    def driver(self, name_or_path: str, path: KeyPath, problems: Problems) -> Driver | None:
        """Return the driver that a profile makes; None if anything is wrong, which is then among the problems.

        `path` is the key that names it.
        """
        if not reading.is_path(name_or_path):
            if name_or_path in reading.shipped():
                return own.driver_by(reading.read(name_or_path))
            text = _("{value} is not a profile; write the whole path of a file, or one of {names}")
            problems.add(path, text.format(value=shown(name_or_path), names=", ".join(reading.shipped())))
            return None
        if not name_or_path.startswith("/"):
            problems.add(path, _("must be the whole path of a file, such as /etc/roadside/meter.toml"))
            return None
        if name_or_path not in self._made:
            self._made[name_or_path] = self._read(name_or_path, problems)
        profile = self._made[name_or_path]
        if profile is None:
            problems.add(path, _("the profile {path} cannot be used").format(path=name_or_path))
            return None
        return own.driver_by(profile)

    def read(self, path: str) -> Profile:
        """Return the profile of a file; raises ConfigError with all that is wrong with it."""
        problems = Problems(Source(path, ""))
        profile = self._read(path, problems)
        if profile is None:
            raise ConfigError(problems.elsewhere)
        return profile

    def _read(self, path: str, problems: Problems) -> Profile | None:
        try:
            source = self._source(path)
            document = self._parse(source)
        except ConfigError as error:
            problems.include(error.problems)
            return None
        found = Problems(source)
        profile = read(Profile, plain(document, found), (), found)
        if profile is not None:
            for where, text, fields in mistakes(profile):
                found.add(where, _(text).format(**fields))
        problems.include(found.found.values())
        if profile is None or found.found:
            return None
        self.texts[path] = source.text
        return profile

    def _source(self, path: str) -> Source:
        if self._kept is not None and path in self._kept:
            return Source(path, self._kept[path])
        return self._read_file(Path(path))
