"""How well the gateway is connected: the way to the broker as its uplink sees it, and the signal of the radio below.

Sources: proc(5) and Documentation/networking (/proc/net/wireless). For a modem there is no such file: another program
writes the signal into one, such as a timer that runs `mmcli -m any --signal-get`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from drivers.contract import N_, GatewayDriver, Help, Item, Measurement, Reason, Value
from drivers.looks import Looks
from drivers.quantities import unit
from drivers.seams import GatewayView, LinkCounts, SystemFiles

WIRELESS = "/proc/net/wireless"
UNSIGNED = 256  # some drivers tell dBm as a byte without sign
WEAKEST = -150  # dBm
OUTDATED = 300.0  # seconds after which the file of a modem is of no use


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which way is looked at."""

    uplink: Annotated[str | None, Help(N_("Name of the uplink; the first one unless given"))] = None
    wireless: Annotated[
        str | None, Help(N_("Name of the wireless interface, such as wlan0; the first one unless given"))
    ] = None
    mobile_file: Annotated[
        str | None,
        Help(N_("A file into which another program writes the signal of the modem in dBm, every 5 minutes or oftener")),
    ] = None


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return what can be measured."""
    names = ("link_latency", "link_loss", "wifi_signal")
    return {name: unit(name) for name in (names if settings.mobile_file is None else (*names, "mobile_signal"))}


class Link:
    """One way to the broker; a `Gauge`."""

    def __init__(self, settings: Settings, every: float) -> None:
        self._settings = settings
        self._every = every
        self._looks = Looks()
        self._next = 0.0
        self._last: LinkCounts | None = None

    def due(self) -> float:
        """Return when `look` wants to be called again."""
        return self._next

    def look(self, at: float, gateway: GatewayView) -> list[Item]:
        """Return what has become of what was tried since the last look, and the signals."""
        self._next = at + self._every
        now = gateway.link(self._settings.uplink)
        last, self._last = self._last, now
        items = [] if last is None else _way(last, now)
        looks = {"wifi_signal": lambda: self._wifi(gateway.files)}
        if (file := self._settings.mobile_file) is not None:
            looks["mobile_signal"] = lambda: _mobile(gateway.files, file)
        return items + self._looks.take(looks)

    def memory(self) -> Mapping[str, float]:
        """Nothing has to survive a restart."""
        return {}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Nothing is remembered."""

    def _wifi(self, files: SystemFiles) -> Value:
        wanted = self._settings.wireless
        for line in files.read(WIRELESS).splitlines()[2:]:  # behind two lines of headings
            name, _, rest = line.partition(":")
            if wanted in {None, name.strip()}:
                level = float(rest.split()[2])
                return _dbm(level - UNSIGNED if level > 0 else level)
        raise LookupError(wanted)


def _way(last: LinkCounts, now: LinkCounts) -> list[Item]:
    answered, unanswered = now.answered - last.answered, now.unanswered - last.unanswered
    attempts, failed = now.attempts - last.attempts, now.failed - last.failed
    items: list[Item] = []
    if answered and now.latency is not None:
        items.append(Measurement("link_latency", round(now.latency * 1000, 1)))
    elif not now.online:
        items.append(Measurement("link_latency", None, Reason.NO_REPLY))
    if tried := attempts + answered + unanswered:
        items.append(Measurement("link_loss", round(100 * (failed + unanswered) / tried, 1)))
    elif not now.online:
        items.append(Measurement("link_loss", None, Reason.NO_REPLY))
    return items


def _mobile(files: SystemFiles, path: str) -> Value:
    if files.age(path) > OUTDATED:
        raise LookupError(path)
    return _dbm(float(files.read(path).split()[0]))


def _dbm(level: float) -> float:
    if not WEAKEST <= level < 0:
        raise ValueError(level)
    return level


DRIVER = GatewayDriver(
    name="link",
    title=N_("How well the gateway is connected"),
    settings=Settings,
    quantities=quantities,
    make=Link,
    silent_after=300.0,
    event=True,
    reasons=(Reason.NO_REPLY,),
    notes=(
        N_("link_latency is the median of the last messages, from sending one until the broker has it"),
        N_(
            "link_loss counts attempts to connect that failed, and messages that a connection took with it when it went"
        ),
        N_("The agent cannot see files in /home and /tmp: put mobile_file below /run or /var/lib"),
    ),
    source="/proc/net/wireless: proc(5)",
)
