"""The control socket: whoever wants something of the running agent asks here. One JSON object a line, each way.

Who may connect is decided by the permissions of the socket and its folder; it is never on a network.

    {"do": "status"}  ->  {"ok": {...}}          {"do": "fly"}  ->  {"error": "..."}
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from agent.i18n import _, retold
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.logs import Log

SOCKET = "control"  # in the runtime folder
LONGEST_REQUEST = 64 * 1024  # bytes
LONGEST_ANSWER = 4 << 20  # bytes
ANSWER_WITHIN = 5.0  # seconds
UNKNOWN = N_("unknown request; known are: {verbs}")

Verb = Callable[[dict[str, Any]], dict[str, Any] | Awaitable[dict[str, Any]]]


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
                writer.write(_line(await self._answer(line)))
                await writer.drain()
        except ValueError:  # readline's word for a line beyond the limit
            writer.write(_line({"error": _("too long a request")}))
        except ConnectionError:
            pass  # gone
        except asyncio.CancelledError:
            pass  # the agent stops; asyncio's streams would log the cancellation as an error
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"error": _("not a line of JSON")}
        verb = self._verbs.get(str(request.get("do"))) if isinstance(request, dict) else None
        if verb is None:
            return {"error": _(UNKNOWN).format(verbs=", ".join(sorted(self._verbs)))}
        try:
            answer = verb(request)
            return {"ok": answer if isinstance(answer, dict) else await answer}
        except ControlError as error:
            return {"error": str(error)}


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode() + b"\n"


async def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the running agent one thing; raises ControlError."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_ANSWER)
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
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
    return _result(path, line, request)


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
