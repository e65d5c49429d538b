"""What can be commanded: each checks its arguments first, and returns what is then done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from agent.commanding.answer import CommandError, Reason
from agent.commanding.commander import Action, Verb
from agent.config.trying import MINUTES, MOST_MINUTES
from agent.control import ControlError
from drivers.contract import BusOutputDriver, OutputDriver
from drivers.seams import PortError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent.commanding.maintenance import Maintenance
    from agent.commanding.request import Arguments
    from agent.config.model import Config
    from agent.sampler.output import Sounding
    from agent.sampler.pipeline import Pipeline

SWITCH_WITHIN = 2.0  # seconds
POLL_WITHIN = 10.0  # seconds
LONGEST_TEST = 4 * 3600.0  # seconds
LONGEST_AGO = 10 * 365 * 86_400.0  # seconds
DIGEST = 64  # hexadecimal digits of a SHA-256


class Reloading(Protocol):
    """How the agent takes up a new configuration: it ends in order, and begins anew."""

    async def problems(self, sha256: str | None) -> list[str]:
        """Return all that is wrong with the configuration in the file, or with its digest if one is given."""
        ...

    async def configure(self, text: str, minutes: float, *, offline: bool) -> list[str]:
        """Put a configuration on trial and begin anew with it, or return all that is wrong with it."""
        ...

    def state(self) -> dict[str, Any]:
        """Return what became of the configuration that was given last; nothing where none ever was."""
        ...

    def restart(self) -> None:
        """End in order, and begin anew."""
        ...


class Verbs:
    """The commands of one agent."""

    def __init__(
        self,
        *,
        config: Config,
        version: str,
        pipelines: Mapping[str, Pipeline],
        soundings: Mapping[str, Sounding],
        polls: Mapping[str, Callable[[], Awaitable[None]]],
        maintenance: Maintenance,
        health: Callable[[], dict[str, Any]],
        publish_health: Callable[[], None],
        resend: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
        reloading: Reloading | None,
    ) -> None:
        """Take the parts of the agent; `reloading` is None where it cannot begin anew."""
        self._config = config
        self._version = version
        self._pipelines = pipelines
        self._soundings = soundings
        self._polls = polls
        self._maintenance = maintenance
        self._health = health
        self._publish_health = publish_health
        self._resend = resend
        self._reloading = reloading

    def table(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            "ping": Verb(self.ping, changes=False),
            "read": Verb(self.read, changes=False),
            "health": Verb(self.health, changes=False),
            "set": Verb(self.set),
            "test": Verb(self.test),
            "acknowledge": Verb(self.acknowledge),
            "resend": Verb(self.resend),
            "reload": Verb(self.reload),
            "configure": Verb(self.configure),
        }

    def ping(self, arguments: Arguments, uplink: str) -> Action:
        """Say that commands are executed."""
        del arguments, uplink

        async def act() -> dict[str, Any]:
            return {"gateway": self._config.gateway.id, "version": self._version}

        return act

    def read(self, arguments: Arguments, uplink: str) -> Action:
        """Return a device's last values with their age; one that can be asked is asked now."""
        device = self._device(arguments.text("device"), uplink)

        async def act() -> dict[str, Any]:
            if device in self._polls:
                try:
                    async with asyncio.timeout(POLL_WITHIN):
                        await self._polls[device]()
                except (PortError, TimeoutError) as error:
                    raise CommandError(Reason.DEVICE, f"{device} could not be asked: {error}") from None
            said: dict[str, Any] = self._health()["devices"][device]
            return said

        return act

    def health(self, arguments: Arguments, uplink: str) -> Action:
        """Publish health now."""
        del arguments, uplink

        async def act() -> dict[str, Any]:
            self._publish_health()
            return {}

        return act

    def set(self, arguments: Arguments, uplink: str) -> Action:
        """Switch an output; on only for a time, which the device's own longest one bounds."""
        device = self._device(arguments.text("device"), uplink)
        pipeline = self._pipelines[device]
        if not isinstance(pipeline.device.driver, OutputDriver | BusOutputDriver):
            raise CommandError(Reason.NOT_POSSIBLE, f"{device} is no output")
        on = arguments.flag("on")
        longest: float = pipeline.device.settings.longest_on  # type: ignore[attr-defined] # OutputSettings, as above
        lasting = arguments.seconds("for", most=longest, default=longest) if on else None

        async def act() -> dict[str, Any]:
            try:
                async with asyncio.timeout(SWITCH_WITHIN):
                    await self._soundings[device].order(on, lasting)
            except TimeoutError:
                why = pipeline.trouble_text or "it does not follow"
                raise CommandError(Reason.DEVICE, f"{device} was not switched, and will not be: {why}") from None
            return {"on": on} | ({"for": lasting} if on else {})

        return act

    def test(self, arguments: Arguments, uplink: str) -> Action:
        """Mark as a test what a device says, or all of them, for a while; 0 ends it."""
        device = arguments.text("device", default="*")
        devices = self._devices(uplink) if device == "*" else [self._device(device, uplink)]
        seconds = arguments.seconds("for", most=LONGEST_TEST)

        async def act() -> dict[str, Any]:
            self._maintenance.begin(devices, seconds)
            self._publish_health()
            return {"devices": devices, "for": seconds}

        return act

    def acknowledge(self, arguments: Arguments, uplink: str) -> Action:
        """Record that somebody has taken note of an alarm, which goes on standing."""
        alarm, by = arguments.text("alarm"), arguments.text("by")
        devices = self._devices(uplink)

        async def act() -> dict[str, Any]:
            for device in devices:
                if self._pipelines[device].acknowledge(alarm, by):
                    return {"device": device}
            text = "no alarm with this id stands here; it may have been cleared"
            raise CommandError(Reason.NO_SUCH_ALARM, text, untouched=True)

        return act

    def resend(self, arguments: Arguments, uplink: str) -> Action:
        """Send again over the uplink that asks: some numbers, all since some seconds ago, or everything."""
        wanted: dict[str, Any] = {"uplink": uplink}
        if arguments.has("numbers"):
            wanted["numbers"] = arguments.numbers("numbers")
            wanted["stream"] = arguments.text("stream", default="telemetry")
            wanted["epoch"] = arguments.text("epoch")
        elif arguments.has("since"):
            wanted["since"] = arguments.seconds("since", most=LONGEST_AGO)

        async def act() -> dict[str, Any]:
            try:
                return await self._resend(wanted)
            except ControlError as error:
                raise CommandError(Reason.JOURNAL, str(error)) from None

        return act

    def reload(self, arguments: Arguments, uplink: str) -> Action:
        """Take up the configuration in the file, if it is valid, by beginning anew."""
        del uplink
        sha256 = None
        if arguments.has("sha256") or self._config.commands.require_signature:
            sha256 = arguments.text("sha256").lower()
            if len(sha256) != DIGEST or not set(sha256) <= set("0123456789abcdef"):
                raise CommandError(Reason.BAD_ARGUMENT, f"sha256 must be {DIGEST} hexadecimal digits")
        reloading = self._reloading
        if reloading is None:
            raise CommandError(Reason.NOT_POSSIBLE, "this agent cannot begin anew")

        async def act() -> dict[str, Any]:
            if problems := await reloading.problems(sha256):
                raise CommandError(Reason.INVALID_CONFIGURATION, "\n".join(problems), untouched=True)
            reloading.restart()
            return {}

        return act

    def configure(self, arguments: Arguments, uplink: str) -> Action:
        """Try a configuration: it stays when the agent has delivered with it, else the one before comes back."""
        del uplink
        text = arguments.document("toml")
        minutes = arguments.seconds("minutes", most=MOST_MINUTES, default=MINUTES, unit="minutes")
        reloading = self._reloading
        if reloading is None:
            raise CommandError(Reason.NOT_POSSIBLE, "this agent cannot begin anew")
        if not self._config.commands.require_signature:  # it may name other brokers, other keys and other outputs
            raise CommandError(Reason.NOT_POSSIBLE, "done only where commands.require_signature is set")

        async def act() -> dict[str, Any]:
            try:
                problems = await reloading.configure(text, minutes, offline=False)
            except OSError as error:
                raise CommandError(Reason.JOURNAL, f"the card does not take it: {error}", untouched=True) from None
            if problems:
                raise CommandError(Reason.INVALID_CONFIGURATION, "\n".join(problems), untouched=True)
            return {"minutes": minutes}

        return act

    def _devices(self, uplink: str) -> list[str]:
        """Return the devices that whoever is behind an uplink hears of: nobody else's can be commanded."""
        given = self._config.uplinks[uplink].devices
        return [name for name in self._pipelines if given is None or name in given]

    def _device(self, name: str, uplink: str) -> str:
        if name not in self._devices(uplink):
            _unknown(name)
        return name


def _unknown(name: str) -> NoReturn:
    raise CommandError(Reason.NO_SUCH_DEVICE, f"no device {name!r} here")
