"""Which configuration runs: that of the file, or the last one that was valid."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from agent import logs
from agent.config import ready
from agent.config.load import build, read_file
from agent.config.problems import ConfigError, Source
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.config.model import Config
    from agent.seams import Disk

LAST_GOOD = "last-good.toml"  # in the state folder: the text of the last configuration that was valid
PROFILES = "last-good-profiles.json"  # beside it: the texts of the profiles that it names, by their paths


def choose(
    state: Disk, path: Path, overrides: Mapping[str, str], *, on_trial: bool = False
) -> tuple[Config, list[str]]:
    """Return the configuration to run and what is wrong with the one in the file, if it is the last good one.

    One that is on trial is no good one yet. Raises ConfigError if there is none.
    """
    log = logs.get("config")
    before = _kept_text(state)
    try:
        source = read_file(path)
        config = build(source, overrides=overrides)
    except ConfigError as error:
        problems = [str(problem) for problem in error.problems]
        last_good = _last_good(before, overrides, state)
        if last_good is None:
            raise
        for problem in problems:
            log.error("configuration_invalid", problem=problem)
        log.error("configuration_last_good", detail=_("the last valid configuration is running instead"))
        return last_good, problems
    if before is not None and (gone := _devices(before) - config.devices.keys()):
        # Legal, and also what a file looks like that was cut by a power cut or an interrupted copy.
        log.warning("devices_removed", devices=" ".join(sorted(gone)))
    if on_trial:
        return config, []
    try:
        if before != source.text:
            state.replace(LAST_GOOD, source.text.encode())
        if config.profiles or PROFILES in state.names():
            state.replace(PROFILES, json.dumps(dict(config.profiles)).encode())
        ready.keep(state, source.text, overrides, config)
    except OSError as error:
        log.error("last_good_not_kept", detail=str(error))
    return config, []


def _last_good(text: str | None, overrides: Mapping[str, str], state: Disk) -> Config | None:
    try:
        if text is None:
            return None
        return build(Source(LAST_GOOD, text), overrides=overrides, profiles=_kept_profiles(state))
    except ConfigError:
        return None


def _kept_profiles(state: Disk) -> dict[str, str]:
    try:
        kept = json.loads(state.read(PROFILES))
    except (OSError, ValueError):
        return {}
    return {path: text for path, text in kept.items() if isinstance(text, str)} if isinstance(kept, dict) else {}


def _kept_text(state: Disk) -> str | None:
    try:
        return state.read(LAST_GOOD).decode()
    except (OSError, UnicodeDecodeError):
        return None


def _devices(text: str) -> set[str]:
    try:
        return set(tomllib.loads(text).get("devices", {}))
    except (tomllib.TOMLDecodeError, TypeError):
        return set()
