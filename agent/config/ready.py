"""A configuration as it was read, kept so that the next start need not read it again: checking costs more than running.

It is taken up only for the very same text, overrides and code, so a file with a mistake in it is never hidden. What
cannot be taken up for any reason is simply read anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from dataclasses import is_dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import drivers
from agent import VERSION
from agent.config import LARGEST
from drivers import registry
from drivers.contract import Driver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.config.model import Config
    from agent.seams import Disk

NAME = "ready"  # in the state folder
_SIZE = hashlib.sha256().digest_size
_FORMS = ("*.py", "*/*.py", "*/*.toml")
_CODE = (Path(__file__).parent, *map(Path, drivers.__path__))  # what decides on a configuration


def keep(state: Disk, text: str, overrides: Mapping[str, str], config: Config) -> None:
    """Keep what a text was read as, unless somebody else's driver had a say in it; raises OSError."""
    if any(device.driver.name not in registry.TABLE for device in config.devices.values()):
        return  # its code is not among that which the mark knows
    body = io.BytesIO()
    _Pickler(body).dump(config)
    mark = _mark(text, overrides)
    state.replace(NAME, mark + _digest(mark, body.getvalue()) + body.getvalue())


def recall(state: Disk, path: Path, overrides: Mapping[str, str]) -> Config | None:
    """Return what a file is read as; None if that is not known."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:  # a pipe can be read only once
            return None
        mark = _mark(path.read_bytes().decode("utf-8-sig"), overrides)
        kept = state.read(NAME)
    except (OSError, UnicodeDecodeError):
        return None
    body = kept[2 * _SIZE :]
    if kept[: 2 * _SIZE] != mark + _digest(mark, body):
        return None
    config: Config = _Unpickler(io.BytesIO(body)).load()
    return config if all(_is_still(Path(path), text) for path, text in config.profiles.items()) else None


def _is_still(path: Path, text: str) -> bool:
    """Return whether a file still says what it said."""
    try:
        return path.is_file() and path.stat().st_size <= LARGEST and path.read_bytes().decode("utf-8-sig") == text
    except (OSError, UnicodeDecodeError):
        return False


def _mark(text: str, overrides: Mapping[str, str]) -> bytes:
    """Return what tells one reading from another; the files of the code too, which change under a developer's hands."""
    files = sorted((str(each), each.stat()) for folder in _CODE for form in _FORMS for each in folder.glob(form))
    code = [(name, status.st_size, status.st_mtime_ns) for name, status in files]
    return hashlib.sha256(json.dumps([VERSION, code, text, sorted(overrides.items())]).encode()).digest()


def _digest(mark: bytes, body: bytes) -> bytes:
    return hashlib.sha256(mark + body).digest()


class _Pickler(pickle.Pickler):
    """Writes a driver as its name, and one that somebody's own profile makes with that."""

    def persistent_id(self, value: Any) -> tuple[str, object] | None:  # noqa: ANN401 - whatever a configuration holds
        if not isinstance(value, Driver):
            return None
        return value.name, value.profile if value.name == registry.BY_PROFILE else None


class _Unpickler(pickle.Unpickler):
    """Makes nothing but configurations: a pickle may otherwise call any function there is."""

    def persistent_load(self, driver: Any) -> Driver:  # noqa: ANN401 - pickle's own
        name, profile = driver
        if profile is None:
            return registry.load(name)
        from drivers.modbus import own  # few gateways have one

        return own.driver_by(profile)

    def find_class(self, module: str, name: str) -> type:
        found = super().find_class(module, name)
        if found is date or (isinstance(found, type) and is_dataclass(found) and found.__module__ == module):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a configuration")
