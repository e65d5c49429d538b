"""Whose a folder is: what root puts into the agent's folders, the agent could neither read nor remove."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def other_owner(folder: Path) -> str | None:
    """Return the name of the user that a folder, or the nearest one above that exists, belongs to; None if to us."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    owner = there.stat().st_uid
    if owner == os.geteuid():
        return None
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)
