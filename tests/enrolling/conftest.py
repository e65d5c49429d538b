"""A workshop for each test, and the brokers and gateways of the system tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.brokers import mosquitto  # noqa: F401 - a fixture
from tests.enrolling.workshop import Workshop
from tests.system.conftest import broker  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)
