"""Takes commands one at a time, sees that each is executed once at the most, and has every one answered.

A command is noted before it is begun and when it has ended, and is acknowledged to the broker only when its answer is
on its way. So the broker holds the rest of a flood, and how many it may have sent ahead is bounded (Receive Maximum).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from agent.commanding import guard
from agent.commanding.answer import Answer, CommandError, Outcome, Reason, refusal
from agent.commanding.request import LONGEST_TEXT, Arguments, id_of, parse
from agent.logs import Repeats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.commanding.memory import Memory
    from agent.commanding.request import Request
    from agent.commanding.signatures import Verifier
    from agent.logs import Log
    from agent.timekeeper import Dated
    from agent.uplink.broker import Incoming

MOST_UNASSURED = 16  # commands with QoS 0 that may wait; of the others the brokers send few ahead
MOST_WAITING = 256  # in all: brokers of MQTT 3.1.1 are not told how few
PAUSE = 0.1  # seconds between two commands: readings and alarms come first
ACT_WITHIN = 30.0  # seconds

Action = Callable[[], Awaitable["Mapping[str, Any]"]]


class Verb(NamedTuple):
    """One thing that can be commanded."""

    prepare: Callable[[Arguments, str], Action]  # from the arguments and the uplink; CommandError: nothing is done
    changes: bool = True  # it does more than look: noted on the card first, and signed where signatures are required


class Reply(NamedTuple):
    """Where an answer goes, besides `did`."""

    topic: str | None
    correlation: bytes | None


class Commander:
    """Executes commands. One task calls `run`."""

    def __init__(
        self,
        verbs: Mapping[str, Verb],
        memory: Memory,
        *,
        verifier: Verifier | None,
        now: Callable[[], Dated | None],
        secure: Callable[[], Awaitable[object]],
        answers_on: Callable[[str, str], bool],
        answer: Callable[[str, bytes, Reply], None],
        log: Log,
    ) -> None:
        """Take the verbs by name, and what the agent does for us.

        `verifier` where changes must be signed; `secure` puts on the card what the journal keeps; `answers_on` tells
        whether an uplink may answer on a topic; `answer` does.
        """
        self._verbs = verbs
        self._memory = memory
        self._verifier = verifier
        self._now = now
        self._secure = secure
        self._answers_on = answers_on
        self._answer = answer
        self._log = log
        self._waiting: asyncio.Queue[tuple[str, Incoming]] = asyncio.Queue()
        self._dropped = Repeats()

    def take(self, uplink: str, incoming: Incoming) -> None:
        """Take a command that came over an uplink; one too many is dropped, and not acknowledged.

        A retained one is nobody's: it would come again with each connection.
        """
        if incoming.retained:
            incoming.acknowledge()
        elif self._waiting.qsize() < (MOST_WAITING if incoming.qos else MOST_UNASSURED):
            self._waiting.put_nowait((uplink, incoming))
        elif times := self._dropped.again(uplink, asyncio.get_running_loop().time()):
            self._log.warning("command_dropped", uplink=uplink, topic=incoming.topic, times=times)

    async def run(self) -> NoReturn:
        """Execute what comes."""
        while True:
            uplink, incoming = await self._waiting.get()
            topic = incoming.response_topic
            is_allowed = topic is None or self._answers_on(uplink, topic)
            answer = await self._obey(uplink, incoming, is_allowed=is_allowed)
            self._answer(uplink, answer.json(), Reply(topic if is_allowed else None, incoming.correlation))
            incoming.acknowledge()
            self._log.info(
                "command", command=answer.command, id=answer.id, outcome=answer.outcome.value, why=answer.reason
            )
            await asyncio.sleep(PAUSE)

    async def _obey(self, uplink: str, incoming: Incoming, *, is_allowed: bool) -> Answer:
        command, payload = incoming.topic.rpartition("/")[2][:LONGEST_TEXT], incoming.payload
        try:
            verb = self._verb(command)
            request = parse(payload)
            if not is_allowed:
                raise CommandError(Reason.RESPONSE_TOPIC, "this gateway does not answer there; nothing was done")
            if self._verifier is not None and verb.changes:
                self._verifier.verify(command, payload, incoming.properties)
            earlier = self._memory.recall(request, command, payload)
            if earlier is not None:  # before the clock is asked: "expired" would say that nothing was done
                return earlier
            now = guard.check(request.expires, self._now())
            arguments = Arguments(request.arguments)
            action = verb.prepare(arguments, uplink)
            arguments.end()
            self._memory.begin(request, command, payload, now)
        except CommandError as error:
            return refusal(command, id_of(payload), error)
        if verb.changes:
            await self._secure()
            self._log.info("command_begun", command=command, id=request.id)
        answer = await self._execute(command, request, action)
        self._memory.end(answer)
        return answer

    def _verb(self, command: str) -> Verb:
        verb = self._verbs.get(command)
        if verb is None:
            raise CommandError(Reason.UNKNOWN_COMMAND, f"known are: {', '.join(sorted(self._verbs))}")
        return verb

    async def _execute(self, command: str, request: Request, action: Action) -> Answer:
        try:
            async with asyncio.timeout(ACT_WITHIN):
                result = await action()
        except CommandError as error:
            outcome = Outcome.REFUSED if error.untouched else Outcome.FAILED
            return Answer(command, outcome, request.id, error.reason, str(error))
        except TimeoutError:
            text = f"it was not over within {ACT_WITHIN:g} s, and was broken off"
            return Answer(command, Outcome.FAILED, request.id, Reason.TIMED_OUT, text)
        except Exception as error:  # noqa: BLE001 - here a defect in one command ends, so that it is answered
            self._log.error("command_failed", command=command, id=request.id, trace=error)
            return Answer(command, Outcome.FAILED, request.id, Reason.DEFECT, repr(error))
        now = self._now()
        return Answer(command, Outcome.DONE, request.id, result=result, utc=None if now is None else now.utc / 1e9)
