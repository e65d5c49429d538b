"""Borrowing a port from the running agent, which has it back as soon as the connection ends, however it ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from agent.control import ControlError, ask, follow
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def held(control: Path) -> dict[str, dict[str, str]]:
    """Return the ports of the running agent, each with its devices and their drivers; raises ControlError."""
    answer = await ask(control, {"do": "ports"})
    return answer["ports"] if isinstance(answer.get("ports"), dict) else {}


@asynccontextmanager
async def borrowed(control: Path, port: str) -> AsyncIterator[None]:
    """Have a port of the agent's meanwhile; raises ControlError, also when the agent wants it back."""
    async with aclosing(follow(control, {"do": "borrow", "port": port})) as lease:
        await anext(lease)
        borrower = asyncio.current_task()
        ending = asyncio.create_task(anext(lease, None), name="the end of the lease")
        ending.add_done_callback(lambda done: None if done.cancelled() or borrower is None else borrower.cancel())
        try:
            yield
        except asyncio.CancelledError:
            if not ending.done():
                raise  # it was not the agent
            if borrower is not None:
                borrower.uncancel()
            raise ControlError(_("{port}: the agent has taken it back").format(port=port)) from None
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
