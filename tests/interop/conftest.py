"""The servers as fixtures: each is skipped, with its reason, where it is not at hand."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.interop.servers import Papers, Server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers that end with the test."""
    with ExitStack() as stack:

        def start(kind: type[Server], *, limit: int | None = None, papers: Papers | None = None) -> Server:
            if missing := kind.missing():
                pytest.skip(missing)
            server = kind(tmp_path / "server", limit=limit, papers=papers)
            stack.callback(server.stop)
            server.start()
            return server

        yield start
