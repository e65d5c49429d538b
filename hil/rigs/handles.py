"""What a test holds of simulated devices and of the proxy in front of the broker, whatever gateway they belong to."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from hil.devices.modbus import LineAilment
from hil.devices.talker import Ailment
from hil.emissions import Said
from hil.rigs.base import Part, RigError, step

if TYPE_CHECKING:
    from hil.link import Link
    from hil.rigs.surroundings import CabinetRig
    from hil.rigs.timeline import Timeline

STEP = 0.001  # of a value that a test has said: what a wire makes of it is the test's business


class CabinetDevice(Part):
    """A simulated device on a wire or a pin."""

    def __init__(self, rig: CabinetRig, name: str) -> None:
        super().__init__(name, rig.timeline)
        self._rig = rig
        self._model = rig.model(name)

    @step
    async def says(self, data: bytes, **values: float | str | bool) -> None:
        """Put bytes on its line at once; `values` are what a right reader makes of it."""
        end = self._rig.cabinet.wire_of(self.name).write(data)
        at = time.time()
        said = [Said(quantity, value, STEP) for quantity, value in values.items()]
        self._model.emitted += [one.emitted(self.name, at, end - len(data), end) for one in said]

    @step
    async def goes_silent(self) -> None:
        """Say nothing any more."""
        self._model.ailment = Ailment.SILENT

    @step
    async def garble(self, how: str) -> None:
        """Speak wrongly from now on."""
        kinds = {kind.value: kind for ailments in (Ailment, LineAilment) for kind in ailments}
        if how not in kinds:
            raise RigError(f"{how!r} is no ailment; there are: {', '.join(kinds)}")
        self._model.ailment = kinds[how]

    @step
    async def recovers(self) -> None:
        """Speak as ever again."""
        self._model.ailment = None

    @step
    async def becomes(self, **properties: float | str | bool | None) -> None:
        """Change what the model of the device lets a test change."""
        for name, value in properties.items():
            if name.startswith("_") or not hasattr(self._model, name):
                raise RigError(f"a {type(self._model).__name__} has no {name!r} that a test could change")
            setattr(self._model, name, value)

    @step
    async def unplug(self) -> None:
        """Pull its plug; on a bus, that of the whole line."""
        self._rig.cabinet.unplug(self.name)

    @step
    async def replug(self) -> None:
        """Put its plug back in."""
        self._rig.cabinet.plug(self.name)


class CabinetPin(Part):
    """What hangs on a pin."""

    def __init__(self, rig: CabinetRig, name: str) -> None:
        super().__init__(name, rig.timeline)
        self._rig = rig
        self._model = rig.model(name)
        if not hasattr(self._model, "pin"):
            raise RigError(f"{name!r} hangs on a wire, not on a pin")

    @step
    async def press(self, seconds: float = 0.3) -> None:
        """Close the contact for so long."""
        await self.hold()
        try:
            await asyncio.sleep(seconds)
        finally:
            await self.release()

    @step
    async def hold(self) -> None:
        """Close the contact, once the agent listens to it."""
        await self._claimed()
        self._model.press()

    @step
    async def release(self) -> None:
        """Open the contact."""
        self._model.release()

    @step
    async def pulses(self, number: int, hertz: float) -> None:
        """Tip the bucket so many times at a steady rate, once the agent listens to the contact."""
        await self._claimed()
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(number):
            await self._model.tip()
            due += 1 / hertz
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def reads(self) -> bool:
        """Return the level of an output."""
        return bool(self._rig.cabinet.board.reads(self._model.pin))

    async def _claimed(self) -> None:
        """Wait until the agent listens, and its debounce has seen the contact at rest."""
        async with asyncio.timeout(self._rig.patience):
            await self._rig.cabinet.board.claims(self._model.pin)
        await asyncio.sleep(self._model.settles)


class ProxiedLink(Part):
    """The proxy in front of the broker."""

    def __init__(self, proxy: Link, timeline: Timeline) -> None:
        super().__init__("link", timeline)
        self._proxy = proxy

    @step
    async def cut(self) -> None:
        """Break all connections and refuse new ones."""
        await self._proxy.cut()

    @step
    async def hang(self) -> None:
        """Pass nothing on any more, and tell nobody."""
        self._proxy.hang()

    @step
    async def slow(self, bytes_per_second: float, delay: float = 0.0) -> None:
        """Pass no more than so much, late."""
        self._proxy.slow(bytes_per_second, delay)

    @step
    async def refuse(self) -> None:
        """Break all connections, and new ones as soon as they are there."""
        await self._proxy.refuse()

    @step
    async def tear(self, after: int) -> None:
        """Break the connection when so many more bytes have gone up."""
        self._proxy.tear(after)

    @step
    async def restore(self) -> None:
        """Work again."""
        await self._proxy.restore()
