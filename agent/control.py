"""The control socket: whoever wants something of the running agent asks here. One JSON object a line, each way.

Who may connect is decided by the permissions of the socket and its folder; it is never on a network.

    {"do": "status"}  ->  {"ok": {...}}          {"do": "fly"}  ->  {"error": "..."}

A verb that goes on answers line after line, until whoever asked hangs up; then all that it held is given back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from agent.i18n import _, retold
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from agent.logs import Log

SOCKET = "control"  # in the runtime folder
LONGEST_REQUEST = 64 * 1024  # bytes
LONGEST_ANSWER = 4 << 20  # bytes
ANSWER_WITHIN = 5.0  # seconds
UNKNOWN = N_("unknown request; known are: {verbs}")

Answers = AsyncGenerator[dict[str, Any], None]
Verb = Callable[[dict[str, Any]], dict[str, Any] | Awaitable[dict[str, Any]] | Answers]


class ControlError(Exception):
    """The agent could not be asked, or said no; the message is for people."""


class ControlServer:
    """Answers on the control socket while its context lasts."""

    def __init__(self, path: Path, verbs: Mapping[str, Verb], log: Log) -> None:
        self._path = path
        self._verbs = verbs
        self._log = log
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start to listen; a socket that cannot be made is logged, the agent goes on without it."""
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._talk, self._path, limit=LONGEST_REQUEST)
            self._path.chmod(0o660)
        except OSError as error:
            self._log.error("control_unavailable", path=self._path, detail=str(error))
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                if isinstance(answer, AsyncGenerator):
                    await _go_on(answer, reader, writer)
                    break
                writer.write(_line(answer))
                await writer.drain()
        except ValueError:  # readline's word for a line beyond the limit
            writer.write(_line({"error": _("too long a request")}))
        except ConnectionError:
            pass  # gone
        except asyncio.CancelledError:
            pass  # the agent stops; asyncio's streams would log the cancellation as an error
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any] | Answers:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"error": _("not a line of JSON")}
        verb = self._verbs.get(str(request.get("do"))) if isinstance(request, dict) else None
        if verb is None:
            return {"error": _(UNKNOWN).format(verbs=", ".join(sorted(self._verbs)))}
        try:
            answer = verb(request)
            if isinstance(answer, AsyncGenerator):
                return answer
            return {"ok": answer if isinstance(answer, dict) else await answer}
        except ControlError as error:
            return {"error": str(error)}


async def _go_on(answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send one answer after the other, until there are no more or whoever asked hangs up; raises ConnectionError.

    Who reads slowly holds up the verb, and nobody else.
    """
    sending = asyncio.create_task(_send(answers, writer))
    gone = asyncio.create_task(reader.read(1))  # nobody has more to say: it is the end
    try:
        await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        gone.cancel()
        outcomes = await asyncio.gather(sending, gone, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _send(answers: Answers, writer: asyncio.StreamWriter) -> None:
    async with aclosing(answers):
        try:
            async for answer in answers:
                writer.write(_line({"ok": answer}))
                await writer.drain()
        except ControlError as error:
            writer.write(_line({"error": str(error)}))


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode() + b"\n"


async def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the running agent one thing; raises ControlError."""
    async with _asked(path, request) as reader, _explained(path):
        async with asyncio.timeout(ANSWER_WITHIN):
            line = await reader.readline()
    return _result(path, line, request)


async def follow(path: Path, request: dict[str, Any]) -> Answers:
    """Ask the running agent what it goes on to answer, and yield each answer; raises ControlError.

    It ends when the agent does, or has no more to say. To close it is to hang up.
    """
    async with _asked(path, request) as reader:
        async with _explained(path):
            async with asyncio.timeout(ANSWER_WITHIN):
                line = await reader.readline()
        yield _result(path, line, request)
        while line.endswith(b"\n"):
            async with _explained(path):
                line = await reader.readline()
            if line.endswith(b"\n"):
                yield _result(path, line, request)


@asynccontextmanager
async def _asked(path: Path, request: dict[str, Any]) -> AsyncIterator[asyncio.StreamReader]:
    """Send a request, and yield where the answer comes; raises ControlError."""
    async with _explained(path), asyncio.timeout(ANSWER_WITHIN):
        reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_ANSWER)
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        yield reader
    finally:
        writer.close()


@asynccontextmanager
async def _explained(path: Path) -> AsyncIterator[None]:
    """Raise ControlError for whatever goes wrong in between."""
    try:
        yield
    except PermissionError:
        text = _("{path}: not permitted; ask as root or as a member of the group 'roadside'").format(path=path)
        raise ControlError(text) from None
    except (FileNotFoundError, ConnectionError):
        text = _("{path}: no agent is running here; is the service started?").format(path=path)
        raise ControlError(text) from None
    except TimeoutError:
        raise ControlError(_("{path}: the agent does not answer").format(path=path)) from None
    except (OSError, ValueError) as error:
        raise ControlError(f"{path}: {error}") from None


def _result(path: Path, line: bytes, request: dict[str, Any]) -> dict[str, Any]:
    try:
        match json.loads(line):
            case {"ok": dict(result)}:
                return result
            case {"error": str(error)} if error.startswith(UNKNOWN.partition(";")[0]):
                text = _("{path}: the agent that runs is of another version and cannot do this ({verb}); restart it")
                raise ControlError(text.format(path=path, verb=request.get("do")))
            case {"error": str(error)}:
                raise ControlError(retold(error))
    except (ValueError, RecursionError):
        pass
    raise ControlError(_("{path}: what answers here is no agent, or it was just stopping").format(path=path))
