"""Lends a serial port of the running agent to whoever asks for it on the control socket, as `roadside probe` does.

The port is back when the one who asked hangs up, which the kernel does for whoever was killed. One that hangs instead
has it for a quarter of an hour at most: it is silence of our making, and is told as such all the while.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agent.control import ControlError
from agent.i18n import _
from drivers.contract import BusOutputDriver, SerialDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.config.model import Device
    from agent.control import Answers
    from agent.sampler.sharing import SharedPorts
    from drivers.contract import SerialLine

LONGEST = 900.0  # seconds


def on_ports(
    devices: Mapping[str, Device], port_of: Callable[[Device], tuple[str, SerialLine]]
) -> dict[str, dict[str, str]]:
    """Return, by the path of each serial port, its devices and their drivers."""
    found: dict[str, dict[str, str]] = {}
    for name, device in devices.items():
        if isinstance(device.driver, SerialDriver):
            found.setdefault(port_of(device)[0], {})[name] = device.driver.name
    return found


async def borrow(
    request: dict[str, Any],
    devices: Mapping[str, Device],
    port_of: Callable[[Device], tuple[str, SerialLine]],
    ports: SharedPorts,
) -> Answers:
    """Lend a port until whoever asked hangs up; raises ControlError."""
    path = str(request.get("port"))
    on_it = on_ports(devices, port_of).get(path)
    if on_it is None:
        raise ControlError(_("{port} is no port of this agent").format(port=path))
    if outputs := [name for name in on_it if isinstance(devices[name].driver, BusOutputDriver)]:
        # Nobody would switch off what is on, and no alarm would be heard.
        text = _("{port} is not lent: {outputs} is switched through it; stop the service first")
        raise ControlError(text.format(port=path, outputs=", ".join(outputs)))
    if ports.is_lent(path):
        raise ControlError(_("{port} is lent already").format(port=path))
    with ports.lend(path):
        yield {"port": path, "devices": on_it}
        await asyncio.sleep(LONGEST)
