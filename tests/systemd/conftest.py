"""One container for all these tests, with Roadside installed as on a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil.container import PACKAGES, Container, why_not
from hil.debian import DebianError, bare
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
    with Container(install, archive) as machine:
        yield machine
