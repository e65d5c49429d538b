"""What decoding costs: the processor time of a frame of each device, and of 32 devices that never rest."""

from __future__ import annotations

import asyncio
import json
import math
import string
import tempfile
import timeit
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

from agent.config.hints import example
from agent.sampler.listen import listen
from agent.sampler.poll import Bus, poll
from drivers import registry
from drivers.contract import ListeningDriver, PollingDriver
from drivers.modbus import frames
from tests.bench.figures import Measured
from tests.drivers.recordings import recordings, serial_names
from tests.sampler.bench import Bench, device, on_bench

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping, Sequence

    from drivers.contract import SerialLine
    from tests.drivers.recordings import Recording

MOST = 30  # microseconds a frame of a binary protocol
SHARE = 15  # % of a core
AGAIN, REPEATS = 20, 40  # times that a recording is decoded
SEVERAL = 10  # recordings of each device, at most
BITS_A_BYTE = 10
PIECE = 16  # bytes that a line hands on at once
MINUTE = 60.0  # seconds that the devices run
SETTLED = 5.0  # seconds after which it is counted
OFTEN = 0.1  # seconds between two polls: the configuration takes no less

# 32 devices, and how often each speaks in a second at the fastest that its datasheet has, or is asked.
TALKERS = {
    "plantower": (4, 5.0),
    "sds011": (2, 1.0),
    "a02yyuw": (5, 10.0),
    "maxbotix": (2, 10.0),
    "tfmini": (1, 100.0),  # as it is delivered; one that was set to a thousand has a figure of its own
    "nmea": (1, 10.0),
    "ld2451": (3, 20.0),
    "ops243": (1, 20.0),
    "vedirect": (1, 1.0),
    "wxt53x": (1, 4.0),
    "wavetronix": (1, 10.0),
    "winsen": (1, 1.0),
}
ASKED = ("mhz19", "sdm120", "sdm230", "sdm630", "pzem004t", "pzem004t", "sm7901", "xymd02", "seeed_wind")


def run(folder: Path) -> Iterator[Measured]:
    """Measure each decoder, and then the sampler with all the way into the journal."""
    for name in serial_names():
        good = [one for one in recordings(name) if one.expected and not any('"fault"' in line for line in one.expected)]
        if good:
            usual = median(len(one.data) for one in good)  # longer ones hold more than a frame
            yield _frame(name, [one for one in good if len(one.data) <= usual][:SEVERAL])
    yield _fleet(folder, "32 devices at their fastest, into the journal", TALKERS, ASKED)
    with tempfile.TemporaryDirectory(dir=folder) as other:
        yield _fleet(Path(other), "a lidar at 1000 Hz alone, into the journal", {"tfmini": (1, 1000.0)}, ())


def _frame(name: str, good: list[Recording]) -> Measured:
    """Return what a frame costs."""
    costs = []
    for recording in good:
        decoder = recording.decoder()
        decoder.feed(recording.data)
        # The least of several: what comes on top is the neighbours' on the same core.
        cost = min(
            timeit.repeat(partial(decoder.feed, recording.data), timer=process_time, number=AGAIN, repeat=REPEATS)
        )
        costs.append(cost / AGAIN / _frames(recording) * 1e6)
    asked = math.inf if all(map(_is_text, good)) else MOST
    return Measured(f"decode a frame: {name}", median(costs), "us", at_most=asked)


def _frames(recording: Recording) -> int:
    """Return how many frames there are: each says its first quantity once. On a Modbus line requests are frames."""
    if recording.loaded.profile is None:
        quantities = [json.loads(line).get("quantity") for line in recording.expected]
        return quantities.count(quantities[0])
    count = at = 0
    while at < len(recording.data):
        size = frames.intact_size(recording.data, at, len(recording.data))
        count += size > 0
        at += max(size, 1)
    return max(count, 1)


def _is_text(recording: Recording) -> bool:
    letters = string.printable.encode()
    return sum(byte in letters for byte in recording.data) > 0.95 * len(recording.data)


def _fleet(folder: Path, what: str, talkers: Mapping[str, tuple[int, float]], asked: Sequence[str]) -> Measured:
    """Return the share of a core that devices take, less what their simulated lines take when they are only read."""
    spent = []

    async def devices(bench: Bench) -> None:
        for work in (_work(bench, talkers, asked), map(_drain, _lines(talkers))):
            async with bench.running(*work):
                await asyncio.sleep(SETTLED)
                start = process_time()
                await asyncio.sleep(MINUTE)
                spent.append(process_time() - start)

    on_bench(folder, devices)
    return Measured(what, 100 * (spent[0] - spent[1]) / MINUTE, "%", at_most=SHARE)


def _lines(talkers: Mapping[str, tuple[int, float]]) -> Iterator[tuple[ListeningDriver, str, Talker]]:
    for name, (count, rate) in talkers.items():
        driver = registry.load(name)
        assert isinstance(driver, ListeningDriver)
        for index in range(count):
            yield driver, f"{name}-{index}", Talker(name, rate)


async def _drain(one: tuple[ListeningDriver, str, Talker]) -> None:
    driver, name, line = one
    port = await line.open(name, driver.line)
    while True:
        await port.read()


def _work(
    bench: Bench, talkers: Mapping[str, tuple[int, float]], asked: Sequence[str]
) -> Iterator[Coroutine[None, None, None]]:
    for driver, name, line in _lines(talkers):
        pipeline = bench.pipeline(device(driver, name, example(driver.settings)))
        yield listen(pipeline, driver, name, driver.line, line, bench.clock)
    for index, name in enumerate(asked):
        asking = registry.load(name)
        assert isinstance(asking, PollingDriver)
        pipeline = bench.pipeline(device(asking, f"{name}-{index}", example(asking.settings)))
        bus = Bus(Answering(asking), name, asking.line, bench.clock)
        yield poll(pipeline, asking, bus, OFTEN, bench.clock)


class Talker:
    """A line on which a device says its recordings again and again; `drivers.seams.SerialPorts` and `SerialPort`."""

    def __init__(self, name: str, rate: float) -> None:
        found = [one.data for one in recordings(name) if '"fault"' not in str(one.expected) and not one.given]
        self._frames = cycle([one for one in found if len(one) <= median(map(len, found))])
        self._pause = 1 / rate
        self._left = b""

    async def open(self, path: str, line: SerialLine) -> Talker:  # noqa: ARG002 - any path will do
        self._byte = BITS_A_BYTE / line.baud
        return self

    async def read(self) -> bytes:
        pause = 0.0
        if not self._left:
            self._left = next(self._frames)
            pause = max(0.0, self._pause - len(self._left) * self._byte)
        piece, self._left = self._left[:PIECE], self._left[PIECE:]
        await asyncio.sleep(pause + len(piece) * self._byte)
        return piece

    def write(self, data: bytes) -> None:
        """Nobody listens."""

    def flush(self) -> None:
        self._left = b""

    def close(self) -> None:
        """Nothing is open."""


class Answering(Talker):
    """A line on which a device answers."""

    def __init__(self, driver: PollingDriver) -> None:
        self._modbus = driver.profile is not None
        self._answer = b"" if self._modbus else next(one.data for one in recordings(driver.name) if one.expected)
        self._answers: dict[bytes, bytes] = {}
        self._arriving: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self) -> bytes:
        piece = await self._arriving.get()
        await asyncio.sleep(len(piece) * self._byte)
        return piece

    def write(self, data: bytes) -> None:
        answer = self._answers.setdefault(data, _registers(data) if self._modbus else self._answer)
        for start in range(0, len(answer), PIECE):
            self._arriving.put_nowait(answer[start : start + PIECE])

    def flush(self) -> None:
        while not self._arriving.empty():
            self._arriving.get_nowait()


def _registers(request: bytes) -> bytes:
    """Return the reply to a Modbus request, with registers that hold something."""
    size = frames.data_size(request[1], int.from_bytes(request[4:6], "big"))
    return frames.framed(request[:2] + bytes((size,)) + (b"\x43\x69" * size)[:size])
