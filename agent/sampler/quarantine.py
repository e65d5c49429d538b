"""Sets a device aside that held up the whole agent, and leaves the breadcrumb that tells which one does."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from agent.config.model import Device
    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock, Crumb

FIRST = 600.0  # seconds that a device is set aside the first time; twice as long each further time
LONGEST = 86_400.0
FORGIVEN_AFTER = 7 * 86_400.0  # seconds of good conduct after which it counts as the first time again
NOBODY = b""


class Quarantine:
    """Which device is set aside, and until when; kept across restarts of one boot, and over with other settings."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self._settings = {name: _sum(device) for name, device in devices.items()}
        self._times: dict[str, tuple[int, int]] = {}  # device -> how often, until which boottime in nanoseconds

    def recall(self, kept: object, now: int) -> None:
        """Take up what an earlier run of this boot kept, if it makes sense; `now` is the boottime in nanoseconds."""
        for device, entry in kept.items() if isinstance(kept, dict) else ():
            match entry:
                case [int(times), int(until), int(settings)] if now < until + round(FORGIVEN_AFTER * 1e9):
                    if self._settings.get(device) == settings:
                        self._times[device] = times, until

    def add(self, device: str, now: int) -> None:
        """Set a device aside, for longer each time."""
        times, _until = self._times.get(device, (0, 0))
        lasts = min(LONGEST, FIRST * 2.0**times)
        self._times[device] = times + 1, now + round(lasts * 1e9)

    def until(self, device: str) -> int:
        """Return the boottime in nanoseconds from which a device may be sampled."""
        return self._times.get(device, (0, 0))[1]

    def memory(self) -> Mapping[str, list[int]]:
        """Return what must survive a restart."""
        return {device: [*entry, self._settings[device]] for device, entry in self._times.items()}


def _sum(device: Device) -> int:
    """Return a number that changes with what the driver is told: who mends that need not wait."""
    return zlib.crc32(f"{device.driver.name} {device.settings} {device.port} {device.bus}".encode())


def guarded(
    work: Callable[[], Awaitable[None]], pipeline: Pipeline, quarantine: Quarantine, clock: Clock, crumb: Crumb
) -> Callable[[], Awaitable[None]]:
    """Return work that begins when the device is no longer set aside, and leaves a breadcrumb at each of its steps."""
    device = pipeline.device.id

    async def run() -> None:
        while (rest := quarantine.until(device) - clock.boottime()) > 0:
            pipeline.set_aside(rest / 1e9)
            await asyncio.sleep(rest / 1e9)
        await _Followed(work(), crumb, device.encode())

    return run


class _Followed:
    """An awaitable that leaves a crumb while it holds the loop: from each resumption to the next wait."""

    def __init__(self, work: Awaitable[None], crumb: Crumb, mine: bytes) -> None:
        self._work = work
        self._crumb = crumb
        self._mine = mine

    def __await__(self) -> Generator[Any, Any, None]:
        steps: Generator[Any, Any, None] = self._work.__await__()
        error: BaseException | None = None
        while True:
            self._crumb.put(self._mine)
            try:
                waits_for = steps.throw(error) if error is not None else next(steps)
            except StopIteration:
                return
            finally:
                self._crumb.put(NOBODY)
            error = None
            try:
                yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - handed on as it is: a cancellation, nearly always
                error = thrown
