"""A rig in a container for a test; where there can be none the test is skipped, and says why."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil.container import PACKAGES
from hil.debian import DebianError, bare
from hil.rigs.container import ContainerRig
from hil.rigs.description import read
from hil.rigs.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RIG = Path(__file__).parents[1] / "scenarios/rigs/container.toml"


@asynccontextmanager
async def container_rig() -> AsyncIterator[ContainerRig]:
    """Have a gateway in a container, alive and ready."""
    if reason := ContainerRig.why_not():
        pytest.skip(reason)
    try:
        await asyncio.to_thread(bare, PACKAGES)
    except DebianError as error:
        pytest.skip(f"no bare Debian to be had: {error}")
    async with ContainerRig(read(RIG), Timeline(), patience=60.0) as rig:
        yield rig
