"""The Raspberry Pi itself: how warm, how well supplied, how worn its card is, and what room is left.

Sources: Linux, Documentation/hwmon and Documentation/ABI (sysfs of thermal, block, ext4 and mmc), and
drivers/hwmon/raspberrypi-hwmon.c; JESD84-B51, EXT_CSD 268 and 269 (how much of an eMMC's life is used).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from drivers.contract import N_, GatewayDriver, Help, Item, Measurement, Reason, Value
from drivers.looks import Looks
from drivers.quantities import always
from drivers.seams import GatewayView, SystemFiles

LOOK_EVERY = 1.0  # seconds; the kernel asks the firmware every 2 s, and what it heard stands for so long
VOLTAGE = "rpi_volt"  # the name of the kernel's hwmon driver
FIRMWARE = "/sys/devices/platform/soc*/*firmware*/get_throttled"
SLOWED = 0b1110  # of get_throttled, at present: frequency capped, throttled, soft limit of the temperature
SECTOR = 512  # bytes in /sys/block/*/stat, whatever the disk has
LIFE_STEP = 10  # % of an eMMC's life; 11 steps: it is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to look at."""

    folder: Annotated[str, Help(N_("A folder on the card or disk that is watched"))] = "/var/lib/roadside"


class Host:
    """One Pi; a `Gauge`.

    The firmware remembers that the supply was low, but the kernel has it forget that every 2 s: whoever wants to know
    how often must count.
    """

    def __init__(self, settings: Settings, every: float) -> None:
        self._folder = settings.folder
        self._every = every
        self._looks = Looks()
        self._next_report: float | None = None  # None before the first
        self._next_look = 0.0
        self._voltage: str | None = None  # the file that tells that it is low
        self._is_low = False
        self._drops = 0
        self._boot = 0.0  # of which these are

    def due(self) -> float:
        """Return when `look` wants to be called again."""
        return self._next_look

    def look(self, at: float, gateway: GatewayView) -> list[Item]:
        """Look whether the supply is low; report all the rest if that is due."""
        files = gateway.files
        if self._next_report is None:
            self._begin(files)
        items = self._supply(files)
        self._next_look = at + LOOK_EVERY
        if self._next_report is None or at >= self._next_report:
            self._next_report = at + self._every
            items = self._report(files)
        if self._voltage is None:
            self._next_look = self._next_report
        return items

    def memory(self) -> Mapping[str, float]:
        """Return how often the supply was low and whether it is, and in which boot."""
        return {"boot": self._boot, "undervoltages": self._drops, "low": float(self._is_low)}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Go on from the count of an earlier run, if that was in this boot."""
        self._boot = memory.get("boot", 0.0)
        self._drops = int(memory.get("undervoltages", 0))
        self._is_low = bool(memory.get("low", 0))

    def _begin(self, files: SystemFiles) -> None:
        try:
            boot = float(int(files.read("/proc/sys/kernel/random/boot_id")[:8], 16))
        except (OSError, ValueError):
            boot = 0.0
        if boot != self._boot:
            self._boot, self._drops, self._is_low = boot, 0, False

    def _supply(self, files: SystemFiles) -> list[Item]:
        """Return the state of the supply if it changed."""
        if self._voltage is None:
            return []
        try:
            is_low = files.read(self._voltage).strip() == "1"
        except OSError:
            self._voltage = None  # it is looked for again with the next report
            return []
        changed, self._is_low = is_low != self._is_low, is_low
        self._drops += changed and is_low
        return [Measurement("undervoltage", is_low), Measurement("undervoltages", self._drops)] if changed else []

    def _report(self, files: SystemFiles) -> list[Item]:
        items: list[Item] = []
        if self._voltage is None:
            self._voltage = _voltage(files)
            items = self._supply(files)
        if self._voltage is not None:
            items = [Measurement("undervoltage", self._is_low), Measurement("undervoltages", self._drops)]
        disk = Disk(files, self._folder)
        return items + self._looks.take(
            {
                "cpu_temperature": lambda: _temperature(files),
                "throttled": lambda: bool(int(files.read(_first(files, FIRMWARE)), 16) & SLOWED),
                "disk_life_used": disk.life_used,
                "disk_written": disk.written,
                "disk_written_total": disk.written_total,
                "disk_free": disk.free,
                "memory_available": lambda: _memory(files),
                "load": lambda: float(files.read("/proc/loadavg").split()[0]),
            }
        )


class Disk:
    """The disk that a folder is on. Each look raises OSError, LookupError or ValueError if it cannot be told."""

    def __init__(self, files: SystemFiles, folder: str) -> None:
        self._files = files
        self._folder = folder

    def free(self) -> Value:
        """Return the free share in percent."""
        space = self._files.space(self._folder)
        return round(100 * space.free / space.total, 1) if space.total else 0.0

    def life_used(self) -> Value:
        """Return the used share of an eMMC's life in percent, in steps of ten; SD cards do not tell."""
        steps = max(int(step, 16) for step in self._files.read(f"{self._whole()}/device/life_time").split())
        if steps == 0:
            raise ValueError("not defined")
        return float(steps * LIFE_STEP)

    def written(self) -> Value:
        """Return the MB that were written since the kernel started."""
        return round(int(self._files.read(f"{self._whole()}/stat").split()[6]) * SECTOR / 1e6, 1)

    def written_total(self) -> Value:
        """Return the GB that were written since an ext4 was made."""
        (name,) = (
            line[8:] for line in self._files.read(f"{self._part()}/uevent").split() if line.startswith("DEVNAME=")
        )
        return round(int(self._files.read(f"/sys/fs/ext4/{name}/lifetime_write_kbytes")) * 1024 / 1e9, 2)

    def _part(self) -> str:
        """Return the place of the partition below /sys."""
        found = ("", "")
        for line in self._files.read("/proc/self/mountinfo").splitlines():
            number, _, mounted = line.split()[2:5]
            inside = f"{self._folder}/".startswith(f"{mounted.rstrip('/')}/")
            if inside and len(mounted) >= len(found[0]):  # the last of those at one place lies on top
                found = (mounted, number)
        if not found[0]:
            raise LookupError(self._folder)
        return f"/sys/dev/block/{found[1]}"

    def _whole(self) -> str:
        part = self._part()
        return f"{part}/.." if self._files.find(f"{part}/partition") else part


def _first(files: SystemFiles, pattern: str) -> str:
    return files.find(pattern)[0]


def _voltage(files: SystemFiles) -> str | None:
    for alarm in files.find("/sys/class/hwmon/hwmon*/in0_lcrit_alarm"):
        try:
            name = files.read(alarm.replace("in0_lcrit_alarm", "name"))
        except OSError:
            continue
        if name.strip() == VOLTAGE:
            return alarm
    return None


def _temperature(files: SystemFiles) -> float:
    zones = files.find("/sys/class/thermal/thermal_zone*/type")
    zone = next((zone for zone in zones if files.read(zone).startswith("cpu")), zones[0])
    return round(int(files.read(zone.removesuffix("type") + "temp")) / 1000, 1)


def _memory(files: SystemFiles) -> float:
    (line,) = (line for line in files.read("/proc/meminfo").splitlines() if line.startswith("MemAvailable:"))
    return round(int(line.split()[1]) / 1024, 1)


DRIVER = GatewayDriver(
    name="host",
    title=N_("The Raspberry Pi itself"),
    settings=Settings,
    quantities=always(
        "cpu_temperature",
        "undervoltage",
        "undervoltages",
        "throttled",
        "disk_life_used",
        "disk_written",
        "disk_written_total",
        "disk_free",
        "memory_available",
        "load",
    ),
    make=Host,
    silent_after=300.0,
    event=True,
    reasons=(Reason.NO_REPLY,),
    notes=(
        N_("What this Pi does not have is not sent: SD cards do not tell how worn they are, eMMCs do"),
        N_("Drops of the supply less than 2 s apart are one: the kernel looks no more often"),
        N_("disk_life_used comes in steps of 10 %; 110 means that the life that was foreseen is over"),
    ),
    source="Linux: hwmon, thermal, block, ext4 and mmc in sysfs, raspberrypi-hwmon.c; JESD84-B51 (eMMC)",
)
