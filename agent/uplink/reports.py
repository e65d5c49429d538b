"""What is logged of an uplink: each trouble when it begins, now and then while it lasts, and when it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.logs import Repeats
from agent.uplink.broker import RefusedError

if TYPE_CHECKING:
    from agent.logs import Log
    from agent.uplink.broker import LinkError, LinkFault


class Reports:
    """The log of one uplink."""

    def __init__(self, log: Log, uplink: str) -> None:
        self._log = log
        self._uplink = uplink
        self._troubles = Repeats()
        self._link_fault: LinkFault | None = None

    def link_up(self, window: int) -> None:
        """There is a connection."""
        fault, self._link_fault = self._link_fault, None
        spell = self._troubles.well(fault, _now()) if fault is not None else None
        self._log.info("link_up", uplink=self._uplink, window=window, down_for=spell.lasted if spell else None)

    def moved(self, broker: str) -> None:
        """Another broker is used from now on."""
        self._log.warning("broker_changed", uplink=self._uplink, broker=broker)

    def renewing(self) -> None:
        """The connection is made anew with renewed secrets or certificates."""
        self._log.info("credentials_renewed", uplink=self._uplink)

    def link_down(self, error: LinkError, retry_in: float) -> None:
        """There is no connection, or no longer."""
        self._link_fault = error.fault
        if times := self._troubles.again(error.fault, _now()):
            self._log.warning(
                "link_down", uplink=self._uplink, fault=error.fault, message=error, retry_in=retry_in, times=times
            )

    def subscribed(self, answer: asyncio.Future[int]) -> None:
        """The broker has answered whether commands will come."""
        error = answer.exception()
        if error is None:
            self._log.info("commands_open", uplink=self._uplink)
        elif isinstance(error, RefusedError):
            self._log.error("commands_refused", uplink=self._uplink, reason=error)  # by the broker's access rules

    def refused(self, topic: str, refusal: RefusedError) -> None:
        """The broker refused what was published on a topic."""
        if times := self._troubles.again((topic, refusal.code), _now()):
            self._log.warning("publish_refused", uplink=self._uplink, topic=topic, reason=refusal, times=times)

    def accepted(self, topic: str, refusal: RefusedError) -> None:
        """That topic is well again."""
        if spell := self._troubles.well((topic, refusal.code), _now()):
            self._log.info("publish_accepted", uplink=self._uplink, topic=topic, down_for=spell.lasted)


def _now() -> float:
    return asyncio.get_running_loop().time()
