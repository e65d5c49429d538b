"""Where things are: the folders systemd gives us, and `--root`, which moves absolute paths below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Paths:
    """The places of one run of the agent.

    What systemd says in the environment is used as it is: it already names the folder that was made for us. Everything
    else (the defaults here, the paths of a configuration) goes through `under`.
    """

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.state = _first(environment.get("STATE_DIRECTORY")) or self.under("/var/lib/roadside")
        self.runtime = _first(environment.get("RUNTIME_DIRECTORY")) or self.under("/run/roadside")
        self.credentials = _first(environment.get("CREDENTIALS_DIRECTORY"))  # None without LoadCredential=

    def under(self, path: str | Path) -> Path:
        """Return an absolute path moved below the root; a relative one stays as it is."""
        path = Path(path)
        return self.root / path.relative_to(path.anchor) if path.is_absolute() else path


def _first(folders: str | None) -> Path | None:
    """Return the first folder: systemd joins several with colons (systemd.exec(5), RuntimeDirectory=)."""
    return Path(folders.split(":")[0]) if folders else None
