"""Makes the site that is looked at, from what a person named."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.config.load import load
from agent.config.problems import ConfigError
from agent.control import SOCKET, ControlError, ask
from agent.doctor.site import CMDLINE_TXT, CONFIG_TXT, Site, boot_folder
from agent.i18n import _, retold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.config.model import Config
    from agent.host.paths import Paths

DEFAULT = "/etc/roadside/gateway.toml"
BEFORE_FIRST_START = "roadside/gateway.toml"  # on the boot partition, as `roadside flash` leaves it


class NoCardError(Exception):
    """A folder is no partition of a gateway's card; the message is for people."""


def gateway(paths: Paths, path: Path | None = None) -> Site:
    """Return the gateway that this is."""
    file = path or paths.under(DEFAULT)
    config, problem = _config(file)
    status, why, is_there = {}, "", True
    try:
        status = asyncio.run(ask(paths.runtime / SOCKET, {"do": "status"}))
    except ControlError as error:
        why, is_there = str(error), not isinstance(error.__context__, FileNotFoundError | ConnectionError)
    return Site(
        root=paths.root,
        boot=boot_folder(paths.root),
        config=config,
        config_problem=problem,
        config_file=file,
        status=status,
        status_problem=why,
        may_be_online=is_there and not status,
    )


def card(folders: Sequence[Path], path: Path | None = None) -> Site:
    """Return the card whose partitions are mounted there; raises NoCardError."""
    root: Path | None = None
    boot: Path | None = None
    for folder in folders:
        if (folder / CONFIG_TXT).is_file() or (folder / CMDLINE_TXT).is_file():
            boot = folder
        elif (folder / "etc").is_dir():
            root = folder
            boot = boot or boot_folder(folder)
        else:
            text = _("{folder} is neither the boot partition of a card nor its root partition")
            raise NoCardError(text.format(folder=folder))
    file = path or _file_of_card(root, boot)
    if file is None:
        config, problem = None, _("the configuration is on the root partition: name it with --card, too")
    else:
        config, problem = _config(file)
    return Site(
        root=root, boot=boot, live=False, config=config, config_problem=problem, config_file=file,
        status_problem=_("no agent runs on a card"),
    )  # fmt: skip


def _file_of_card(root: Path | None, boot: Path | None) -> Path | None:
    """Return the configuration: before the first start it lies on the boot partition."""
    if boot is not None and (boot / BEFORE_FIRST_START).is_file():
        return boot / BEFORE_FIRST_START
    return root / DEFAULT.lstrip("/") if root is not None else None


def _config(file: Path) -> tuple[Config | None, str]:
    try:
        return load(file), ""
    except ConfigError as error:
        return None, retold(str(error.problems[0]))
