"""A simulated cabinet: wires and pins laid out as on a gateway, the devices on them, and what they emitted."""

from __future__ import annotations

import asyncio
import math
import random
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hil.devices.a02yyuw import A02yyuw
from hil.devices.anemometer import Anemometer
from hil.devices.button import Button
from hil.devices.hcsr04 import Hcsr04
from hil.devices.hpma115 import Hpma115
from hil.devices.ld2451 import Ld2451
from hil.devices.loop_detector import LoopDetector
from hil.devices.maxbotix import Maxbotix
from hil.devices.mhz19 import Mhz19
from hil.devices.modbus import Board, Meter
from hil.devices.nmea import Nmea
from hil.devices.ops243 import Ops243
from hil.devices.plantower import Plantower
from hil.devices.pulse_counter import PulseCounter
from hil.devices.rain_gauge import RainGauge
from hil.devices.recorded import Recorded
from hil.devices.sdm120 import Sdm120
from hil.devices.sds011 import Sds011
from hil.devices.siren import Siren
from hil.devices.sps30 import Sps30
from hil.devices.tfmini import Tfmini
from hil.devices.vantage import Vantage
from hil.devices.vedirect import Charger, Shunt
from hil.devices.wavetronix import Wavetronix
from hil.devices.winsen import Winsen
from hil.devices.wxt53x import Wxt53x
from hil.emissions import Cut, Deaf
from hil.pinboard import PinBoard
from hil.wires.pty import Pty

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from hil.emissions import Emission

PLAN = Path(__file__).with_name("cabinet.toml")
ON_WIRES: dict[str, type[Any]] = {
    "a02yyuw": A02yyuw,
    "hpma115": Hpma115,
    "ld2451": Ld2451,
    "maxbotix": Maxbotix,
    "mhz19": Mhz19,
    "nmea": Nmea,
    "ops243": Ops243,
    "plantower": Plantower,
    "modbus": Meter,
    "recorded": Recorded,
    "relay_board": Board,
    "sdm120": Sdm120,
    "sds011": Sds011,
    "sps30": Sps30,
    "tfmini": Tfmini,
    "vantage": Vantage,
    "vedirect": Charger,
    "vedirect_shunt": Shunt,
    "wavetronix": Wavetronix,
    "winsen": Winsen,
    "wxt53x": Wxt53x,
}
ON_PINS: dict[str, type[Any]] = {
    "anemometer": Anemometer,
    "button": Button,
    "hcsr04": Hcsr04,
    "loop_detector": LoopDetector,
    "pulse_counter": PulseCounter,
    "rain_gauge": RainGauge,
    "siren": Siren,
}
HANGS_UP_WITHIN = 5.0  # seconds after the agent's process has ended


class CabinetError(Exception):
    """A plan of a cabinet that cannot be built; the message says where it is wrong."""


class Device(Protocol):
    """What all simulated devices have in common."""

    name: str
    emitted: list[Emission]
    settles: float  # seconds until a reader can be expected to have made readings of an emission

    async def run(self) -> None:
        """Be alive until cancelled."""
        ...


class Cabinet:
    """Lays out ROOT/dev and the pins, and brings the devices to life. Use it as an asynchronous context manager.

    `on_wires` are models that stand in for those of hil. `devices` are by name, `wires` by their path on the gateway;
    `board` is the GPIO header.
    """

    def __init__(
        self, root: Path, plan: Path = PLAN, *, seed: int = 1, on_wires: Mapping[str, type[Any]] | None = None
    ) -> None:
        self.root = root
        self.devices: dict[str, Device] = {}
        self.wires: dict[str, Pty] = {}
        self.board = PinBoard(root / "pins.sock")
        self._plan = plan
        self._on_wires = {**ON_WIRES, **(on_wires or {})}
        self._seed = seed
        self._at: dict[str, str | int] = {}  # which wire or pin a device is on
        self._cuts: list[Cut] = []
        self._pulled: dict[str, list[tuple[float, float]]] = {}  # when the plug of a device on a pin was out
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            for name, entry in _read(self._plan).items():
                self._build(name, dict(entry))
            await self.board.__aenter__()
        except BaseException:
            self._unplug()
            raise
        self._tasks = [asyncio.create_task(device.run(), name=name) for name, device in self.devices.items()]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.quiet()
        finally:
            await self.board.__aexit__(kind, error, trace)
            self._unplug()

    @property
    def environment(self) -> dict[str, str]:
        """What the agent's environment needs, so that gpiozero finds these pins."""
        return {"GPIOZERO_PIN_FACTORY": "rig", "RIG_PINS": str(self.board.path.absolute())}

    @property
    def emissions(self) -> list[Emission]:
        """All that was emitted so far, in the order of time."""
        emitted = [emission for device in self.devices.values() for emission in device.emitted]
        return sorted(emitted, key=lambda emission: emission.at)

    @property
    def unread(self) -> int:
        """How many bytes nobody has read yet, on all wires together."""
        return sum(wire.unread() for wire in self.wires.values())

    @property
    def deaf(self) -> list[Deaf]:
        """The stretches in which nobody could hear a device."""
        stretches = []
        for name, at in self._at.items():
            if isinstance(at, str):
                stretches += [Deaf(name, start, stop) for start, stop in self.wires[at].stretches()]
            else:  # a debounce sees a pin at rest before it takes an edge
                settles = self.devices[name].settles
                pulled = self._pulled.get(name, [])
                stretches += [Deaf(name, start, stop + settles) for start, stop in (*self.board.stretches(at), *pulled)]
        return stretches

    @property
    def cuts(self) -> list[Cut]:
        """The moments in which a frame may have been cut by the agent's death."""
        return list(self._cuts)

    async def agent_gone(self, killed_at: float) -> None:
        """Take note of the agent's death. To be called when its process has ended; `killed_at` is CLOCK_REALTIME."""
        for wire in self.wires.values():
            wire.reader_gone()
        await self.board.left(HANGS_UP_WITHIN)
        now = time.time()
        self._cuts += [Cut(name, killed_at - device.settles, now) for name, device in self.devices.items()]

    def wire_of(self, name: str) -> Pty:
        """Return the wire that a device is on; raises CabinetError if it is on a pin."""
        at = self._at[name]
        if not isinstance(at, str):
            raise CabinetError(f"{self._plan}: devices.{name} is on pin {at}, and has no wire")
        return self.wires[at]

    def unplug(self, name: str) -> None:
        """Pull the plug of a device: on a line, that of all devices on it; on an input, the contact then is open."""
        at = self._at[name]
        if isinstance(at, str):
            now = time.time()  # what is on its way at this moment may not have come through
            on_it = [device for one, device in self.devices.items() if self._at[one] == at]
            self._cuts += [Cut(device.name, now - device.settles, now) for device in on_it]
            self.wires[at].unplug()
        elif not self._is_pulled(name):
            self.board.unplug(at, rest=True)  # a pulled-up input
            self._pulled.setdefault(name, []).append((time.time(), math.inf))

    def plug(self, name: str) -> None:
        """Put the plug of a device back in."""
        at = self._at[name]
        if isinstance(at, str):
            self.wires[at].plug()
        elif self._is_pulled(name):
            self.board.plug(at)
            self._pulled[name][-1] = (self._pulled[name][-1][0], time.time())

    def _is_pulled(self, name: str) -> bool:
        return self._pulled.get(name, [(0.0, 0.0)])[-1][1] == math.inf

    async def quiet(self) -> None:
        """Let the devices fall silent, for good; the wires and pins stay. Raises what went wrong in a device."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome

    def _build(self, name: str, entry: dict[str, Any]) -> None:
        model = entry.pop("model", None)
        chance = random.Random(f"{self._seed} {name}")
        try:
            if model in self._on_wires:
                path = self._at[name] = entry.pop("port")
                self.devices[name] = self._on_wires[model](name, self._wire(path), chance, **entry)
            elif model in ON_PINS:
                self._at[name] = entry["echo" if "echo" in entry else "pin"]
                self.devices[name] = ON_PINS[model](name, self.board, chance, **entry)
            else:
                known = ", ".join([*self._on_wires, *ON_PINS])
                raise CabinetError(f"{self._plan}: devices.{name}.model: {model!r} is none of {known}")
        except (KeyError, TypeError) as error:
            raise CabinetError(f"{self._plan}: devices.{name}: {error}") from error

    def _wire(self, path: str) -> Pty:
        if path not in self.wires:
            self.wires[path] = Pty(self.root / path.lstrip("/"))
            self.wires[path].plug()
        return self.wires[path]

    def _unplug(self) -> None:
        for wire in self.wires.values():
            wire.unplug()


def _read(plan: Path) -> dict[str, dict[str, Any]]:
    try:
        devices: dict[str, dict[str, Any]] = tomllib.loads(plan.read_text(encoding="utf-8"))["devices"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise CabinetError(f"{plan}: not a plan of a cabinet: {error}") from error
    return devices
