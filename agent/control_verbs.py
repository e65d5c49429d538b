"""What can be asked on the control socket. What takes much to answer is imported when somebody asks: few ever do."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from agent import resend
from agent.control import ControlError
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent.commanding.maintenance import Maintenance
    from agent.commanding.verbs import Reloading
    from agent.commissioning.holding import Commissioning
    from agent.config.model import Config
    from agent.control import Answers, Verb
    from agent.health import Health
    from agent.journal.journal import Journal
    from agent.publishing import Publishing
    from agent.sampler.pipeline import Pipeline
    from agent.sampling import Sampling
    from agent.seams import Clock

COMMISSIONED = "commissioned"  # kept: the report of the last commissioning


class ControlVerbs:
    """Answers for one agent."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        journal: Journal,
        pipelines: Mapping[str, Pipeline],
        sampling: Sampling,
        publishing: Publishing,
        maintenance: Maintenance,
        health: Health,
        reloading: Reloading | None,
        secure: Callable[[], Awaitable[None]],
        stopping: Callable[[], bool],
    ) -> None:
        self._config = config
        self._clock = clock
        self._journal = journal
        self._pipelines = pipelines
        self._sampling = sampling
        self._publishing = publishing
        self._maintenance = maintenance
        self._health = health
        self._reloading = reloading
        self._secure = secure
        self._stopping = stopping

    def table(self) -> dict[str, Verb]:
        """Return by its name what answers a request."""
        return {
            "status": lambda _request: self._health.document(),
            "resend": resend.verb(self._journal, self._config.uplinks, self._clock),
            "configure": self._configure,
            "watch": self._watch,
            "ports": self._tell_ports,
            "borrow": self._borrow,
            "commission": lambda request: self._commissioning.hold(request),  # noqa: PLW0108 - made when asked
            "switch": lambda request: self._commissioning.switch(request),  # noqa: PLW0108
            "commissioned": lambda request: self._commissioning.file(request),  # noqa: PLW0108
        }

    async def _configure(self, request: dict[str, Any]) -> dict[str, Any]:
        """Try a configuration that somebody on the gateway gives."""
        text, minutes = request.get("toml"), request.get("minutes")
        if self._reloading is None or not isinstance(text, str) or not isinstance(minutes, int | float):
            raise ControlError(_("this agent does not understand that"))
        try:
            offline = not self._publishing.online
            return {"problems": await self._reloading.configure(text, minutes, offline=offline)}
        except OSError as error:
            raise ControlError(_("the card does not take it: {error}").format(error=error)) from None

    def _watch(self, request: dict[str, Any]) -> Answers:
        """Tell what devices measure, as it comes."""
        from agent.watching import watch

        return watch(request, self._pipelines, self._sampling.ports, self._sampling.port_of, self._clock)

    def _tell_ports(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Tell which devices are on which serial ports."""
        from agent.lending import on_ports

        return {"ports": on_ports(self._config.devices, self._sampling.port_of)}

    def _borrow(self, request: dict[str, Any]) -> Answers:
        """Lend a serial port."""
        from agent.lending import borrow

        return borrow(request, self._config.devices, self._sampling.port_of, self._sampling.ports)

    @cached_property
    def _commissioning(self) -> Commissioning:
        """What `roadside commission` asks."""
        from agent.commissioning.holding import Commissioning

        return Commissioning(
            self._pipelines,
            self._maintenance,
            self._config.uplinks,
            soundings=self._sampling.soundings,
            file=self._file_report,
            stopping=self._stopping,
        )

    async def _file_report(self, report: dict[str, Any]) -> None:
        self._journal.keep(COMMISSIONED, report)
        self._publishing.publish_commissioning(report)
        await self._secure()
