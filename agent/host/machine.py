"""The real machine, as the agent's world: its clocks, folders, ports and brokers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent import control, logs
from agent.host.breadcrumb import MappedCrumb, NoCrumb, culprit
from agent.host.clock import SystemClock
from agent.host.disk import Folder
from agent.host.files import SystemFolder
from agent.host.manager import ServiceManager
from agent.host.patient import Patient
from agent.host.random import SystemRandom
from agent.uplink.credentials import Files
from agent.uplink.mqtt import MqttBroker
from drivers.ports.serial import PosixSerialPorts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.config.model import Config, Uplink
    from agent.host.paths import Paths
    from agent.seams import Crumb
    from drivers.ports.gpio import GpiozeroPorts


class Machine:
    """Implements `agent.world.World`."""

    def __init__(self, config: Config, paths: Paths, environment: Mapping[str, str]) -> None:
        self.clock = SystemClock(paths.root)
        self.random = SystemRandom()
        self.manager = ServiceManager(environment)
        self.release = _release(Path(__file__))
        self.culprit = culprit(paths.runtime)
        self.crumb = _crumb(paths.runtime)
        self.young = Folder(paths.runtime / "young")
        self.card = Patient(Folder(paths.under(config.journal.folder)))
        self.serial = PosixSerialPorts(paths.root)
        self.files = SystemFolder(paths.root)
        self._paths = paths
        self._gpio: GpiozeroPorts | None = None

    def gpio(self) -> GpiozeroPorts:
        """Return the GPIO lines; asked for only when a device has a pin."""
        if self._gpio is None:
            from drivers.ports.gpio import GpiozeroPorts  # slow to import, and not every gateway has a pin in use

            devices = self._paths.under("/dev")
            self._gpio = GpiozeroPorts(lambda: self.clock.boottime() / 1e9, devices=devices)
        return self._gpio

    def broker(self, uplink: Uplink) -> MqttBroker:
        """Return the broker of an uplink, which knows the files that hold its secrets."""
        return MqttBroker(
            uplink,
            files=Files(
                password=self._secret(uplink.password_file, uplink.password_credential),
                authority=self._secret(uplink.ca_file, None),
                certificate=self._secret(uplink.certificate_file, uplink.certificate_credential),
                key=self._secret(uplink.key_file, uplink.key_credential),
            ),
        )

    def _secret(self, file: str | None, credential: str | None) -> Path | None:
        if file is not None:
            return self._paths.under(file)
        return None if credential is None else (self._paths.credentials or self._paths.runtime) / credential

    def control(self, verbs: Mapping[str, control.Verb]) -> control.ControlServer:
        """Answer on the control socket while the context lasts."""
        return control.ControlServer(self._paths.runtime / control.SOCKET, verbs, logs.get("control"))

    def close(self) -> None:
        """Give back the GPIO lines, if there were any."""
        if self._gpio is not None:
            self._gpio.close()


def _crumb(folder: Path) -> Crumb:
    try:
        return MappedCrumb(folder)
    except OSError as error:
        logs.get("agent").warning("no_breadcrumb", folder=folder, detail=str(error))
        return NoCrumb()


def _release(file: Path) -> str:
    """Return the folder below `releases` that this file belongs to, as systemd/roadside-switch lays them out."""
    parts = file.parts
    return parts[parts.index("releases") + 1] if "releases" in parts else ""
