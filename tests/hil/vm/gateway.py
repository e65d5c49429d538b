"""A gateway in a virtual machine, its broker and the city."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from hil.vm.helper import HelperError
from hil.vm.machine import HOST, Machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.city import City
    from hil.link import Link
    from hil.packs import Received
    from hil.vm.image import Image

ID = "pkt-0042"
SYNCHRONISED = "/run/systemd/timesync/synchronized"  # what systemd-timesyncd touches when it has set the clock
TOLD_WITHIN = 300.0  # seconds: it runs some ten times slower than a Pi, and others may use this machine
CONFIGURATION = """\
[gateway]
id = "{id}"

[uplinks.city]
url = "mqtt://{host}:{port}"

{devices}
"""


class Gateway(Machine):
    """A machine with Roadside, whose clock is said to be right unless it is told since when it is to count."""

    def __init__(self, image: Image, link: Link, city: City, devices: str, **more: Any) -> None:
        configuration = CONFIGURATION.format(id=ID, host=HOST, port=link.port, devices=devices)
        files = {"/etc/roadside/gateway.toml": configuration}
        if "since" not in more:
            files[SYNCHRONISED] = ""
        super().__init__(image, files=files, **more)
        self.link = link
        self.city = city

    async def status(self) -> dict[str, Any]:
        """Return what the agent says of itself; empty while there is none."""
        try:
            answer: dict[str, Any] = json.loads(await self.helper.ask("/run/roadside/control", '{"do": "status"}'))
        except (HelperError, ValueError):
            return {}
        said: dict[str, Any] = answer["ok"]
        return said

    async def runs(self) -> None:
        """Wait until the agent runs and is in touch with the city."""
        await self.comes(lambda said: said.get("uplinks", {}).get("city", {}).get("state") == "online", "online")

    async def listens(self, *lines: int) -> None:
        """Wait until the agent has claimed these lines of the GPIO chip."""

        async def claimed() -> bool:
            return set(lines) <= (await self.helper.claims()).keys()

        await self.until(claimed, f"lines {lines} are claimed", TOLD_WITHIN)

    async def comes(self, condition: Callable[[dict[str, Any]], object], what: str) -> None:
        """Wait until the agent says so of itself."""

        async def so() -> object:
            return condition(await self.status())

        try:
            await self.until(so, what, TOLD_WITHIN)
        except TimeoutError as error:
            log = await self.helper.run("journalctl", "-u", "roadside", "--no-pager", "-n", "30", check=False)
            raise AssertionError(f"{what}: never. It says {await self.status()}\n{log.out}") from error

    async def arrives(self, condition: Callable[[], object], what: str) -> None:
        """Wait until it has come to the city."""

        async def so() -> object:
            return condition()

        try:
            await self.until(so, what, TOLD_WITHIN)
        except TimeoutError as error:
            log = await self.helper.run("journalctl", "-u", "roadside", "--no-pager", "-n", "30", check=False)
            raise AssertionError(f"{what}: never. The city has {self.readings()[-5:]}\n{log.out}") from error

    def readings(self, device: str = "", quantity: str = "") -> list[Received]:
        """Return what the city has of a device and quantity, with values alone."""
        return [
            one
            for one in self.city.received
            if one.value is not None and device in {"", one.device} and quantity in {"", one.quantity}
        ]


def lately(seconds: float) -> bool:
    """Tell whether a time is of today, and not of 1970."""
    return abs(time.time() - seconds) < 3600
