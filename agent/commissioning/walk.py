"""The walk through the cabinet, device by device: somebody at a terminal, and the agent behind its control socket."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from agent.commissioning.judging import Judge, is_number
from agent.commissioning.tasks import SWITCHED_FOR, Kind, taken_up
from agent.control import ControlError, ask, follow
from agent.i18n import _, retold
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.commissioning.tasks import Task
    from agent.control import Answers

SHOWN_STEP = 0.2  # of what a value has to move by: a smaller change is not worth a line


class Outcome(StrEnum):
    """What became of a device."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


OUTCOMES = {Outcome.PASSED: N_("passed"), Outcome.FAILED: N_("failed"), Outcome.SKIPPED: N_("skipped")}


class Step(StrEnum):
    """Where to go from a device; single letters are what a technician types."""

    NEXT = "next"
    AGAIN = "r"
    SKIP = "s"
    BACK = "b"
    QUIT = "q"


class Gone(Exception):  # noqa: N818 - it is no error
    """Nobody is at the terminal any more."""


class Technician(Protocol):
    """Whoever is at the cabinet."""

    def say(self, text: str) -> None:
        """Show a line."""
        ...

    async def answer(self) -> str:
        """Wait for a line, and return it without blanks around it; raises Gone."""
        ...


@dataclass(slots=True)
class Result:
    """What was done at one device and what came of it."""

    task: Task
    outcome: Outcome = Outcome.SKIPPED
    arrived: dict[str, Any] = field(default_factory=dict)
    faults: int = 0
    remark: str = ""  # why it failed, in English

    def plain(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        wanted = {"quantity": self.task.quantity, "by": self.task.by} if self.task.quantity else {}
        return {
            "device": self.task.device,
            "driver": self.task.driver,
            "kind": self.task.kind,
            "task": self.task.text,
            **wanted,
            "outcome": self.outcome,
            "arrived": self.arrived,
            "faults": self.faults,
            "remark": self.remark,
        }


class Walk:
    """One walk. `results` are by device, in the order in which the devices are configured; `keys` as the agent says."""

    def __init__(
        self, control: Path, technician: Technician, shown: Callable[[dict[str, Any]], str], language: str
    ) -> None:
        """`shown` makes a text of an entry of `watch`; `language` is that of the devices' labels."""
        self.results: dict[str, Result] = {}
        self.keys: list[dict[str, str]] = []
        self._control = control
        self._technician = technician
        self._shown = shown
        self._language = language
        self._holding: Answers | None = None
        self._place = ""

    async def run(self) -> None:
        """Go from device to device, all of them in test until it returns or raises; raises ControlError and Gone."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._release)
            tasks = await self._hold()
            self.results = {name: Result(task) for name, task in tasks.items()}
            names = list(tasks)
            at = 0
            while at < len(names):
                self._place = f"{at + 1}/{len(names)}"
                step = await self._visit(names[at])
                if step is Step.QUIT:
                    return
                if step is Step.BACK:
                    at = max(0, at - 1)
                elif step is not Step.AGAIN:
                    at += 1

    # --- the agent -------------------------------------------------------------------------------------------------

    async def _hold(self) -> dict[str, Task]:
        """Have the devices in test, from now for as long as one request holds, without a gap after the one before."""
        answers = follow(self._control, {"do": "commission"})
        header = await anext(answers)
        await self._release()
        self._holding = answers
        try:
            self.keys = header["keys"]
            return {name: taken_up(task) for name, task in header["tasks"].items()}
        except (KeyError, TypeError, ValueError) as error:
            raise ControlError(_("the agent that runs is of another version; restart the service")) from error

    async def _release(self) -> None:
        if self._holding is not None:
            await self._holding.aclose()
            self._holding = None

    # --- one device ------------------------------------------------------------------------------------------------

    async def _visit(self, name: str) -> Step:
        task = (await self._hold())[name]
        self._say("")
        label = task.label.get(self._language, "")
        self._say(f"{self._place}  {name}  {label or _(task.title)}")
        async with aclosing(follow(self._control, {"do": "watch", "devices": [name]})) as answers:
            await anext(answers)
            visit = Visit(task, self._control, self._technician, self._shown)
            reading = asyncio.create_task(visit.read(answers))
            try:
                step = await visit.run(reading)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        if step is not Step.AGAIN and (step is not Step.BACK or visit.result.outcome is not Outcome.SKIPPED):
            self.results[name] = visit.result
        return step

    def _say(self, text: str) -> None:
        self._technician.say(text)


class Visit:
    """What happens at one device."""

    def __init__(
        self, task: Task, control: Path, technician: Technician, shown: Callable[[dict[str, Any]], str]
    ) -> None:
        self.result = Result(task)
        self._task = task
        self._control = control
        self._technician = technician
        self._shown = shown
        self._judge = Judge(task)
        self._last_shown: Any = task.before.get(task.quantity)
        self._came = asyncio.Event()
        self._reading: asyncio.Task[None]

    async def read(self, answers: Answers) -> None:
        """Take what the device says until cancelled; raises ControlError when the agent has stopped."""
        async for answer in answers:
            for entry in answer["entries"]:
                self._judge.take(entry)
                if entry.get("quantity") == self._task.quantity and self._is_news(entry["value"]):
                    self._last_shown = entry["value"]
                    self._technician.say(f"    {self._shown(entry)}")
            self._came.set()
        raise ControlError(_("the agent has stopped"))

    async def run(self, reading: asyncio.Task[None]) -> Step:
        """Have it done, and return where to go next."""
        self._reading = reading
        match self._task.kind:
            case Kind.MOVES:
                self._technician.say(f"  {_(self._task.text)}.")
                self._technician.say(_("  s: skip   b: back   q: end"))
                step = await self._until_passed()
            case Kind.SWITCHES:
                step = await self._switch()
            case Kind.LIVES:
                self._technician.say(_("  Its values are waited for; nothing has to be done."))
                step = await self._until_passed() or await self._confirmed(_("  Are they plausible here?"))
        if step is None:
            self._is(Outcome.PASSED)
            return Step.NEXT
        return step

    # --- kinds of devices -------------------------------------------------------------------------------------------

    async def _switch(self) -> Step | None:
        text = _(
            "  It is switched on for {seconds:g} s: look and listen. Enter: switch on   s: skip   b: back   q: end"
        )
        self._technician.say(text.format(seconds=SWITCHED_FOR))
        if step := await self._step({Step.SKIP, Step.BACK, Step.QUIT}):
            return step
        try:
            await ask(self._control, {"do": "switch", "device": self._task.device, "for": SWITCHED_FOR})
        except ControlError as error:
            return await self._failed(str(error))
        return await self._until_passed() or await self._confirmed(_("  Was it on?"))

    async def _until_passed(self) -> Step | None:
        """Wait until the device has done it; return where to go if it has not, or if somebody wants to go on."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._task.within
        answering = asyncio.create_task(self._step({Step.SKIP, Step.BACK, Step.QUIT}, patient=True))
        try:
            while not self._judge.passed:
                self._came.clear()
                coming = asyncio.create_task(self._came.wait())
                left = deadline - loop.time()
                waited = {coming, answering, self._reading}
                await asyncio.wait(waited, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
                coming.cancel()
                if self._reading.done():
                    self._reading.result()
                if answering.done():
                    return answering.result()
                if left <= 0:
                    break
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        return None if self._judge.passed else await self._failed(self._why())

    async def _confirmed(self, question: str) -> Step | None:
        """Have somebody judge what a machine cannot."""
        if self._task.kind is Kind.LIVES:
            for quantity, arrived in self._judge.arrived.items():
                entry = {"quantity": quantity, "value": arrived.last, "unit": arrived.unit, "reason": None}
                self._technician.say(f"    {self._shown(entry)}")
            for quantity, reason in self._judge.reasons.items():
                entry = {"quantity": quantity, "value": None, "unit": "", "reason": reason}
                self._technician.say(f"    {self._shown(entry)}")
        self._technician.say(question + " " + _("Enter: yes   n: no   r: once more   s: skip   b: back   q: end"))
        while True:
            said = await self._technician.answer()
            if said in {"", "y"}:
                return None
            if said == "n":
                self._is(Outcome.FAILED, "the technician says no")
                return Step.NEXT
            if step := self._taken(said, {Step.AGAIN, Step.SKIP, Step.BACK, Step.QUIT}):
                return step

    # --- what becomes of it -----------------------------------------------------------------------------------------

    async def _failed(self, why: str) -> Step:
        self._is(Outcome.FAILED, why)
        self._technician.say(_("  Enter: go on   r: once more   b: back   q: end"))
        return await self._step({Step.AGAIN, Step.BACK, Step.QUIT}) or Step.NEXT

    def _is(self, outcome: Outcome, remark: str = "") -> None:
        self.result.outcome, self.result.remark = outcome, remark
        self.result.arrived = {name: arrived.plain() for name, arrived in self._judge.arrived.items()}
        self.result.faults = self._judge.faults
        self._technician.say(f"  {_(OUTCOMES[outcome])}" + (f": {retold(remark)}" if remark else ""))

    def _why(self) -> str:
        """Return why it has not passed."""
        if implausible := self._judge.implausible:
            return N_("implausible, as the configuration says: {quantities}").format(quantities=", ".join(implausible))
        quantity = self._task.quantity
        if quantity and quantity in self._judge.arrived:
            text = N_("{quantity} moved by {moved:g}, and had to by {by:g}")
            return text.format(quantity=quantity, moved=round(self._judge.moved, 4), by=self._task.by)
        if self._judge.faults and not self._judge.arrived:
            return N_("what came was garbled")
        if self._judge.reasons:
            return N_("there was no value: {reasons}").format(reasons=", ".join(set(self._judge.reasons.values())))
        return N_("nothing came within {seconds:g} s").format(seconds=self._task.within)

    async def _step(self, allowed: set[Step], *, patient: bool = False) -> Step | None:
        """Return where somebody wants to go, None for Enter alone; with `patient` Enter says nothing."""
        while True:
            said = await self._technician.answer()
            if not said and not patient:
                return None
            if step := self._taken(said, allowed):
                return step

    def _taken(self, said: str, allowed: set[Step]) -> Step | None:
        step = next((step for step in allowed if said and step == said), None)
        if step is Step.SKIP:
            self._is(Outcome.SKIPPED)
        if step is None and said:
            self._technician.say(_("  '{said}' is none of these").format(said=said))
        return step

    def _is_news(self, value: Any) -> bool:  # noqa: ANN401 - any value of a quantity
        if is_number(value) and is_number(self._last_shown):
            return bool(abs(value - self._last_shown) > self._task.by * SHOWN_STEP)
        return bool(value != self._last_shown)
