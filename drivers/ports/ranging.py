"""A trigger and an echo through gpiozero's DistanceSensor, which has a thread of its own for each."""

from __future__ import annotations

import asyncio
import warnings
from statistics import median
from typing import TYPE_CHECKING, Any

from gpiozero import DistanceSensor
from gpiozero.exc import DistanceSensorNoEcho, PWMSoftwareFallback

from drivers.contract import Reason
from drivers.seams import PortError, PortFault

if TYPE_CHECKING:
    from collections.abc import Callable

SOUND = 343.26  # m/s, as DistanceSensor has it: it knows distances alone, and we want the time
LONGEST = 0.1  # seconds for which it waits for an echo
WITHIN = 1.0  # seconds in which its thread says something: it asks some seven times a second
KEPT = 9  # answers of which the median is taken: a single one may be of a raindrop


class _Sensor(DistanceSensor):  # type: ignore[misc] # gpiozero has no types
    """Hands each answer on: DistanceSensor itself goes on saying the last distance when there is no answer."""

    def __init__(self, trigger: int, echo: int, factory: Any, took: Callable[[float | None], None]) -> None:  # noqa: ANN401 - gpiozero has no types
        self._took = took
        super().__init__(echo, trigger, queue_len=1, max_distance=SOUND / 2 * LONGEST, pin_factory=factory)

    def _read(self) -> float | None:
        value: float | None = super()._read()
        self._took(None if value is None else value * LONGEST)
        return value

    def close(self) -> None:
        # DistanceSensor gives its trigger back while its thread may still be about to pull it.
        thread = getattr(self, "_queue", None)  # there is none if the constructor failed, or when closed again
        if thread is not None and thread.is_alive():
            thread.stop()
        super().close()


class GpiozeroRanging:
    """Implements `drivers.seams.RangingLine`."""

    def __init__(self, trigger: int, echo: int, factory: Any, released: Callable[[], object]) -> None:  # noqa: ANN401 - gpiozero has no types
        self._name = f"GPIO{trigger} and GPIO{echo}"
        self._released = released
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._answers: list[float | None] = []
        for told in (DistanceSensorNoEcho, PWMSoftwareFallback):  # the first is what we tell, the second is no news
            warnings.simplefilter("ignore", told)
        self._sensor = _Sensor(trigger, echo, factory, self._took)

    async def measure(self) -> float | Reason:
        """Wait for an echo and return how long its pulse was, in seconds, or why there is none."""
        try:
            async with asyncio.timeout(WITHIN):
                await self._came.wait()
        except TimeoutError:
            raise PortError(PortFault.FAILED, self._name, "gpiozero's thread says nothing any more") from None
        answers, self._answers = self._answers[-KEPT:], []
        self._came.clear()
        heard = [seconds for seconds in answers if seconds is not None]
        return median(heard) if 2 * len(heard) > len(answers) else Reason.NO_REPLY

    def close(self) -> None:
        """Give the pins back. Harmless to call again."""
        if not self._closed:
            self._closed = True
            self._sensor.close()
            self._released()

    def _took(self, seconds: float | None) -> None:
        """Take an answer; called in the sensor's thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, seconds)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _take(self, seconds: float | None) -> None:
        self._answers = [*self._answers[1 - KEPT :], seconds]
        self._came.set()
