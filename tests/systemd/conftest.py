"""One container for all these tests, with Roadside installed as on a gateway."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil.container import PACKAGES, Container, why_not
from hil.debian import DebianError, bare, unpack
from tests.systemd.installing import install

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def machine() -> Iterator[Container]:
    """A booted machine; where there can be none the test is skipped, and says why."""
    if reason := why_not():
        pytest.skip(reason)
    try:
        archive = bare(PACKAGES)
    except DebianError as error:
        pytest.skip(f"no bare Debian to be had: {error}")
    with tempfile.TemporaryDirectory(prefix="roadside-container-") as folder:
        root = Path(folder) / "root"
        root.mkdir()
        unpack(archive, root)
        install(root)
        with Container(root) as machine:
            yield machine
