"""What is looked at: a gateway that runs, or the partitions of its card in a laptop."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agent.commands.journal.places import looked_into
from agent.doctor import programs
from agent.host.clock import SystemClock
from agent.i18n import _
from agent.journal.inspect import look
from agent.readings import Anchor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from agent.config.model import Config
    from agent.host.disk import ReadOnlyFolder
    from agent.seams import Clock

BOOT = ("boot/firmware", "boot")  # bookworm and later; before
CONFIG_TXT, CMDLINE_TXT = "config.txt", "cmdline.txt"
JOURNAL, YOUNG = "/var/lib/roadside/journal", "/run/roadside/young"
UARTS = ("/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0")  # what the pins 14 and 15 are called


@dataclass(frozen=True)
class Site:
    """Files below a root, programs, the configuration, and what the running agent says of itself."""

    root: Path | None  # None: the card's root partition is not there
    boot: Path | None = None  # the folder of config.txt; None: there is none
    live: bool = True  # it is the machine that runs; False: a card
    run: Callable[[Sequence[str]], programs.Done] = programs.run
    config: Config | None = None  # None: there is none that can be read
    config_problem: str = ""  # why not
    config_file: Path | None = None
    status: Mapping[str, Any] = field(default_factory=dict)  # of the running agent; empty: none answers
    status_problem: str = ""  # why there is none
    may_be_online: bool = False  # an agent may be running that we cannot ask
    clock: Clock = field(default_factory=SystemClock)

    def path(self, inside: str) -> Path:
        """Return where a file of the gateway is from here; raises FileNotFoundError where its partition is not."""
        if self.root is None:
            raise FileNotFoundError(2, _("the root partition is not here: name it with --card, too"), inside)
        return self.root / inside.lstrip("/")

    def text(self, inside: str) -> str:
        """Return a file of the gateway; raises OSError."""
        return self.path(inside).read_text("utf-8", "replace").rstrip("\0")

    def boot_file(self, name: str) -> Path:
        """Return where a file of the boot partition is; raises FileNotFoundError where that is not."""
        if self.boot is None:
            text = _("there are no boot files here: is it a Raspberry Pi?")
            if not self.live:
                text = _("the boot partition is not here: name it with --card, too")
            raise FileNotFoundError(2, text, name)
        return self.boot / name

    def glob(self, pattern: str) -> list[Path]:
        """Return the files of the gateway that fit a pattern, sorted; perhaps none."""
        return sorted(self.root.glob(pattern)) if self.root is not None else []

    def inside(self, path: Path) -> str:
        """Return what the gateway itself calls a file."""
        return "/" + str(path.relative_to(self.root or path.anchor))

    @cached_property
    def model(self) -> str:
        """The Pi that it is, such as `Raspberry Pi 5 Model B Rev 1.0`; "" if nobody can tell."""
        try:
            return self.text("proc/device-tree/model").strip() if self.live else ""
        except OSError:
            return ""

    @cached_property
    def ports(self) -> dict[str, str]:
        """The paths of all serial ports that are configured, and the first device on each."""
        found: dict[str, str] = {}
        for name, device in self.config.devices.items() if self.config else ():
            port = device.port or (self.config.ports.get(device.bus) if self.config and device.bus else None)
            if port is not None:
                found.setdefault(port.path, name)
        return found

    def anchors(self) -> list[Anchor]:
        """Return the anchors that the journal kept at last; raises OSError."""
        card, young = self.journal()
        found = look(young, card)
        return [Anchor(*fields) for fields in (found.state.kept.get("anchors") if found.state else None) or []]

    def journal(self) -> tuple[ReadOnlyFolder | None, ReadOnlyFolder | None]:
        """Return the journal's folder and that of its young end, as far as they are there."""
        folder = self.config.journal.folder if self.config else JOURNAL
        return looked_into(self.path(folder)), looked_into(self.path(YOUNG))

    @property
    def wants_uart(self) -> bool:
        """Whether a device is on the UART of the pins, or may be as far as anybody knows."""
        return self.config is None or any(path in UARTS for path in self.ports)


def boot_folder(root: Path) -> Path | None:
    """Return the folder of the boot files below a root; None if there is none."""
    return next((root / one for one in BOOT if (root / one / CONFIG_TXT).is_file()), None)
