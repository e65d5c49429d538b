"""Where commands arrive: with the first one, all that it takes is imported and made."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.commanding.commander import Commander
    from agent.config.model import Uplink
    from agent.uplink.broker import Incoming
    from agent.uplink.publisher import Publisher


class Reception:
    """Takes what comes by the uplinks that may command, and has a commander execute it."""

    def __init__(self, make: Callable[[], Commander]) -> None:
        self._make = make
        self._commander: asyncio.Future[Commander] = asyncio.Future()

    def open(self, uplinks: Mapping[str, Uplink], publishers: Mapping[str, Publisher]) -> None:
        """Take commands from now on."""
        for name, uplink in uplinks.items():
            if uplink.commands:
                publishers[name].on_incoming = partial(self._take, name)

    def _take(self, uplink: str, incoming: Incoming) -> None:
        if not self._commander.done():
            self._commander.set_result(self._make())
        self._commander.result().take(uplink, incoming)

    async def run(self) -> None:
        """Execute what comes, for ever."""
        commander = await asyncio.shield(self._commander)
        await commander.run()
