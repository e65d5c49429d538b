"""A device that says what another one once said: it plays a capture from the field."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from hil.recorded import read
from hil.replay import Player

if TYPE_CHECKING:
    import random

    from hil.devices.talker import Ailment
    from hil.emissions import Emission
    from hil.wires.pty import Pty

LOOKED_EVERY = 0.02  # seconds


class Recorded:
    """Silent until a test names a capture: `becomes(capture="level-1.txt")`. It is played once somebody listens."""

    settles = 0.05

    def __init__(self, name: str, wire: Pty, chance: random.Random) -> None:
        del chance
        self.name = name
        self.ailment: Ailment | None = None
        self.emitted: list[Emission] = []  # nobody but a driver knows what the bytes mean
        self.capture: str | Path = ""
        self.played = False  # whole
        self._wire = wire

    async def run(self) -> None:
        """Play the capture; then answer what was asked in it, until cancelled."""
        while not self.capture or not self._wire.heard:
            await asyncio.sleep(LOOKED_EVERY)
            self._wire.write(b"")  # which sees whether somebody has opened the line
        player = Player(self._wire, read(Path(self.capture)))
        await player.run()
        self.played = True
        await asyncio.get_running_loop().create_future()
