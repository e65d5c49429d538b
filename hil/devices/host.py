"""The files in which the kernel of a Raspberry Pi tells of the Pi, in a folder that stands for its root.

Source: a Raspberry Pi 4's /proc and /sys as Linux documents them (Documentation/ABI, proc(5)); a compute module's eMMC
in place of a card.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DISK = "sys/devices/platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:0001/block/mmcblk0"
NUMBERS = "179:2"  # of the partition, as in /proc/self/mountinfo
VOLTAGE = "sys/class/hwmon/hwmon1"


class HostFiles:
    """A Pi whose files say what they are told to; a file that is set to None is not there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        partition = f"{DISK}/mmcblk0p2"
        self.put("proc/sys/kernel/random/boot_id", "6e2a1f0c-0a39-4c0c-9d3f-3f1f0d7f6a52")
        self.put("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
        self.put("sys/class/hwmon/hwmon0/name", "cpu_thermal")
        self.put(f"{VOLTAGE}/name", "rpi_volt")
        self.put(f"{partition}/partition", "2")
        self.put(f"{partition}/uevent", "MAJOR=179\nMINOR=2\nDEVNAME=mmcblk0p2\nDEVTYPE=partition\nPARTN=2")
        self.put(
            "proc/self/mountinfo",
            "24 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw\n"
            "31 24 0:28 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,size=763736k\n"
            "60 24 179:1 / /boot/firmware rw,relatime shared:30 - vfat /dev/mmcblk0p1 rw",
        )
        link = root / "sys/dev/block" / NUMBERS
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(root / partition)
        (root / "var/lib/roadside").mkdir(parents=True, exist_ok=True)
        self.temperature(48.2)
        self.undervoltage(low=False)
        self.throttled(0)
        self.life(0x01, 0x02)
        self.written(sectors=204_800, lifetime_kib=12_000_000)
        self.memory(available_kib=3_145_728)
        self.load(0.21)

    def put(self, path: str, text: str | None) -> None:
        """Have a file say something, or not be there."""
        file = self._root / path
        if text is None:
            file.unlink()
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="ascii")

    def temperature(self, celsius: float) -> None:
        """Set the temperature of the processor."""
        self.put("sys/class/thermal/thermal_zone0/temp", f"{celsius * 1000:.0f}")

    def undervoltage(self, *, low: bool) -> None:
        """Let the supply be too low, or not."""
        self.put(f"{VOLTAGE}/in0_lcrit_alarm", f"{low:d}")

    def throttled(self, bits: int) -> None:
        """Set what the firmware says of its present and past limits."""
        self.put("sys/devices/platform/soc/soc:firmware/get_throttled", f"{bits:x}")

    def life(self, a: int, b: int) -> None:
        """Set the used tenths of the life of the eMMC's two kinds of memory."""
        self.put(f"{DISK}/device/life_time", f"0x{a:02x} 0x{b:02x}")

    def written(self, *, sectors: int, lifetime_kib: int) -> None:
        """Set what was written since the start, and since the file system was made."""
        self.put(
            f"{DISK}/stat", f"   12003     4120   983042     8123     5120     6030   {sectors}    40211 0 9000 48334"
        )
        self.put("sys/fs/ext4/mmcblk0p2/lifetime_write_kbytes", f"{lifetime_kib}")

    def memory(self, *, available_kib: int) -> None:
        """Set what programs can still have."""
        self.put(
            "proc/meminfo", f"MemTotal:        3981184 kB\nMemFree:  901184 kB\nMemAvailable:   {available_kib} kB"
        )

    def load(self, mean: float) -> None:
        """Set the mean of the last minute."""
        self.put("proc/loadavg", f"{mean:.2f} 0.15 0.10 1/187 2401")

    def wireless(self, **levels: float) -> None:
        """Set the signal of each interface."""
        lines = [
            f"{name:>6}: 0000   54.  {level:.0f}.  -256        0      0      0      0      0        0"
            for name, level in levels.items()
        ]
        heads = (
            "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE",
            " face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22",
        )
        self.put("proc/net/wireless", "\n".join([*heads, *lines]))
