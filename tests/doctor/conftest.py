from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.brokers import mosquitto  # noqa: F401 - a fixture
from tests.doctor.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A healthy Pi 4 with a particle sensor on the UART and a rain gauge on GPIO 17."""
    root = tmp_path / "root"
    root.mkdir()
    return Tree(root)
