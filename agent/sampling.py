"""Which work reads or drives each device of a gateway, on lines and pins that some of them share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from agent.sampler.listen import listen
from agent.sampler.poll import Bus, ask_once, poll
from agent.sampler.sharing import SharedPorts
from drivers.contract import (
    BusOutputDriver,
    GatewayDriver,
    InputDriver,
    ListeningDriver,
    OutputDriver,
    PollingDriver,
    RangingDriver,
)
from drivers.seams import GatewayView

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent.config.model import Config, Device
    from agent.sampler.output import Sounding
    from agent.sampler.pipeline import Pipeline
    from agent.world import World
    from drivers.contract import SerialLine
    from drivers.seams import LinkCounts


class Sampling:
    """The samplers of one gateway. What only few gateways have is imported where it is met.

    `utc` tells the time in nanoseconds, or None; `link` how an uplink is doing, the first one unless named.
    """

    def __init__(
        self,
        config: Config,
        world: World,
        pipelines: Mapping[str, Pipeline],
        *,
        utc: Callable[[], int | None],
        link: Callable[[str | None], LinkCounts],
    ) -> None:
        self.ports = SharedPorts(world.serial, world.clock)
        self.soundings: dict[str, Sounding] = {}  # the outputs, once `work` has been asked for
        self.polls: dict[str, Callable[[], Awaitable[None]]] = {}  # asks a device out of turn; likewise
        self._config = config
        self._world = world
        self._clock = world.clock
        self._pipelines = pipelines
        self._utc = utc
        self._link = link
        self._buses: dict[str, Bus] = {}

    def work(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return, by device, what its supervisor keeps going."""
        return {name: self._work(pipeline) for name, pipeline in self._pipelines.items()}

    def port_of(self, device: Device) -> tuple[str, SerialLine]:
        """Return the path and the settings of a device's serial line; raises TypeError for one that is on none."""
        port = device.port or self._config.ports[device.bus or ""]
        if not isinstance(device.driver, ListeningDriver | PollingDriver | BusOutputDriver):
            raise TypeError(f"{device.driver.name} is on no serial line")
        return port.path, port.line or device.driver.line

    def close(self) -> None:
        """Let go of the shared lines."""
        for bus in self._buses.values():
            bus.close()

    def _work(self, pipeline: Pipeline) -> Callable[[], Awaitable[None]]:
        device = pipeline.device
        match device.driver:
            case ListeningDriver() as driver:
                path, line = self.port_of(device)
                return partial(listen, pipeline, driver, path, line, self.ports, self._clock)
            case PollingDriver() as driver:
                bus = self._bus(device)
                self.polls[device.id] = partial(ask_once, pipeline, driver, bus)
                return partial(poll, pipeline, driver, bus, device.every or driver.every, self._clock)
            case InputDriver() as driver:
                from agent.sampler.edges import watch

                return partial(watch, pipeline, driver, self._world.gpio(), self._clock, self._utc)
            case RangingDriver() as driver:
                from agent.sampler.ranging import measure

                every = device.every or driver.every
                return partial(measure, pipeline, driver, self._world.gpio(), every, self._clock)
            case OutputDriver() as driver:
                from agent.sampler.output import drive

                return partial(drive, pipeline, driver, self._sounding(device), self._world.gpio(), self._clock)
            case BusOutputDriver() as driver:
                from agent.sampler.switch import follow

                every = device.every or driver.every
                sounding = self._sounding(device)
                return partial(follow, pipeline, driver, sounding, self._bus(device), every, self._clock)
            case GatewayDriver() as driver:
                from agent.sampler.gauge import observe

                view = GatewayView(self._world.files, self._link)
                return partial(observe, pipeline, driver, device.every or driver.every, view, self._clock)
            case _:
                message = f"{device.driver.name} is of no kind that can be sampled"
                raise TypeError(message)

    def _bus(self, device: Device) -> Bus:
        path, line = self.port_of(device)
        if path not in self._buses:
            self._buses[path] = Bus(self.ports, path, line, self._clock)
        return self._buses[path]

    def _sounding(self, device: Device) -> Sounding:
        from agent.sampler.output import Sounding

        sounding = self.soundings[device.id] = Sounding()
        for name in device.sounds_for:
            self._pipelines[name].on_alarm.append(sounding.hear)
        return sounding
