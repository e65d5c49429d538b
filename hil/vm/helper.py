"""The host's end of the rig's hand: what `guest/helper.py` can do, as methods."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONGEST_LINE = 16 << 20  # bytes


class HelperError(Exception):
    """What was asked for failed in the machine, or the machine is gone; the message says what was said."""


class Done(NamedTuple):
    """What came of a command."""

    status: int
    out: str
    err: str


class Helper:
    """Talks to the helper of one boot."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {0: asyncio.get_running_loop().create_future()}
        self._here = self._waiting[0]
        self._listening = asyncio.create_task(self._listen(), name="helper")

    @classmethod
    async def connect(cls, path: Path) -> Helper:
        """Connect to the port, whoever is at its other end yet."""
        return cls(*await asyncio.open_unix_connection(path, limit=LONGEST_LINE))

    async def here(self, within: float) -> None:
        """Wait until the helper is there; raises HelperError or TimeoutError."""
        async with asyncio.timeout(within):
            await asyncio.shield(self._here)

    async def close(self) -> None:
        """Talk no more."""
        self._listening.cancel()
        await asyncio.wait({self._listening})
        self._writer.close()

    async def run(self, *command: str, given: str | None = None, check: bool = True, within: float = 60.0) -> Done:
        """Run a command in the machine, as root; raises HelperError if it fails."""
        done = Done(**await self._do("run", command=command, given=given, within=within))
        if check and done.status:
            raise HelperError(f"{' '.join(command)}: {done.status}: {done.err.strip() or done.out.strip()}")
        return done

    async def ask(self, path: str, line: str) -> str:
        """Send a line to a unix socket in the machine and return the line that comes back; raises HelperError."""
        answer: str = await self._do("ask", path=path, line=line)
        return answer

    async def pull(self, line: int, *, up: bool) -> None:
        """Put an input of the GPIO chip to a level."""
        await self._do("pull", line=line, up=up)

    async def value(self, line: int) -> bool:
        """Return the level of an output."""
        return bool(await self._do("value", line=line))

    async def pulses(self, line: int, number: int, hertz: float, *, rest: bool = True) -> float:
        """Pulse an input, which rests at a level, and return how many seconds of the machine's it took."""
        return float(await self._do("pulses", line=line, number=number, hertz=hertz, rest=rest))

    async def claims(self) -> dict[int, str]:
        """Return by line whether somebody has claimed it as an input (`in`) or an output (`out`)."""
        return {int(line): way for line, way in (await self._do("claims")).items()}

    async def readers(self, paths: Sequence[str]) -> set[str]:
        """Return which of these devices are open in some process."""
        return set(await self._do("readers", paths=list(paths)))

    async def _do(self, verb: str, **arguments: Any) -> Any:  # noqa: ANN401 - any JSON
        number = next(self._numbers)
        if self._listening.done():
            raise HelperError("the machine is gone")
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"id": number, "do": verb, **arguments}).encode() + b"\n")
        try:
            return await self._waiting[number]
        finally:
            self._waiting.pop(number, None)

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                answer = json.loads(line)
                future = self._waiting.get(answer["id"])
                if future is None or future.done():
                    continue
                if "error" in answer:
                    future.set_exception(HelperError(answer["error"]))
                else:
                    future.set_result(answer["ok"])
        except ConnectionError:
            pass  # the power went
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(HelperError("the machine is gone"))
                    future.exception()  # nobody may be waiting for it any more
