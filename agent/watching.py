"""Tells whoever asks on the control socket what devices measure, and the bytes on their lines, as they come.

The first answer says which devices there are; each further one holds what came since. Who reads too slowly misses
something, and is told how much: never is anything kept back for long, and never does a sampler wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from agent import recording
from agent.control import ControlError
from agent.i18n import _
from drivers.contract import Fault, Measurement, SerialDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent.config.model import Device
    from agent.control import Answers
    from agent.sampler.pipeline import Pipeline
    from agent.sampler.sharing import Passed, SharedPorts
    from agent.seams import Clock
    from drivers.contract import Item, SerialLine

KEPT = 2000  # entries for one who reads slowly
KEPT_BYTES = 256 * 1024  # of what passed on a line
TOGETHER = 200  # entries in one answer at most


async def watch(
    request: dict[str, Any],
    pipelines: Mapping[str, Pipeline],
    ports: SharedPorts,
    port_of: Callable[[Device], tuple[str, SerialLine]],
    clock: Clock,
) -> Answers:
    """Yield what the devices named say, or all if none is named; with `raw` also what passes on their lines."""
    names = request.get("devices") or list(pipelines)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ControlError(_("this agent does not understand that"))
    if unknown := [name for name in names if name not in pipelines]:
        text = _("no device '{device}'; there are: {devices}")
        raise ControlError(text.format(device=unknown[0], devices=", ".join(pipelines)))
    backlog = Backlog()
    with ExitStack() as stack:
        for name in names:
            pipeline = pipelines[name]
            stack.enter_context(_added(pipeline.on_items, partial(items_of, backlog, name, pipeline.unit)))
            if request.get("raw") and isinstance(pipeline.device.driver, SerialDriver):
                path, _line = port_of(pipeline.device)
                stack.enter_context(ports.listening(path, partial(bytes_of, backlog, name)))
        yield {
            "devices": {name: _described(pipelines[name].device, port_of) for name in names},
            "boottime": clock.boottime() / 1e9,
            "utc": clock.utc() / 1e9,
        }
        while True:
            yield await backlog.take()


class Backlog:
    """What somebody has still to be told, within bounds; the oldest goes first."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque()
        self._bytes = 0
        self._missed = 0
        self._came = asyncio.Event()

    def add(self, entry: dict[str, Any]) -> None:
        """Add what there is to tell."""
        self._entries.append(entry)
        self._bytes += _size(entry)
        while len(self._entries) > KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= _size(self._entries.popleft())
            self._missed += 1
        self._came.set()

    async def take(self) -> dict[str, Any]:
        """Wait until there is something to tell, and return it with how much was missed before it."""
        await self._came.wait()
        entries = [self._entries.popleft() for _ in range(min(len(self._entries), TOGETHER))]
        self._bytes -= sum(map(_size, entries))
        missed, self._missed = self._missed, 0
        if not self._entries:
            self._came.clear()
        return {"entries": entries, "missed": missed}


def _size(entry: dict[str, Any]) -> int:
    return len(entry.get("hex", ""))


def items_of(backlog: Backlog, device: str, unit: Callable[[str], str], items: list[Item], at: int) -> None:
    """Add what a driver yielded; `unit` tells that of a quantity, and `at` is the boottime in nanoseconds."""
    for item in items:
        entry: dict[str, Any] = {"at": at / 1e9, "device": device}
        if isinstance(item, Measurement):
            value = item.value.encode(errors="replace").decode() if isinstance(item.value, str) else item.value
            entry |= {"quantity": item.quantity, "value": value, "unit": unit(item.quantity), "reason": item.reason}
            backlog.add(entry)
        elif isinstance(item, Fault):
            backlog.add({**entry, "fault": item.kind, "detail": item.detail})


def bytes_of(backlog: Backlog, device: str, passed: Passed) -> None:
    """Add what passed on a line."""
    backlog.add({"at": passed.at / 1e9, "device": device, "hex": passed.data.hex(" "), "sent": passed.sent})


def _described(device: Device, port_of: Callable[[Device], tuple[str, SerialLine]]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "driver": device.driver.name,
        "title": device.driver.title,
        "settings": recording.given(device.settings),
    }
    if isinstance(device.driver, SerialDriver):
        path, line = port_of(device)
        described |= {"port": path, "line": str(line)}
    return described


@contextmanager
def _added(
    callbacks: list[Callable[[list[Item], int], None]], callback: Callable[[list[Item], int], None]
) -> Iterator[None]:
    callbacks.append(callback)
    try:
        yield
    finally:
        callbacks.remove(callback)
