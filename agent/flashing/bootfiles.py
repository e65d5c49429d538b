"""The files on the boot partition that turn a Raspberry Pi OS into a gateway at its first start.

Trixie is told by cloud-init's three files, bookworm by firstrun.sh and cmdline.txt, as Raspberry Pi Imager does. Both
say the same: run roadside/start (systemd/first-boot-start). Sources: pi-gen, stage2/04-cloud-init;
raspberrypi-sys-mods, initramfs-tools/scripts/local-bottom/imager_fixup; documentation of config.txt.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "roadside/"
DESCRIPTION = "card.json"
MOUNTED = "/boot/firmware"  # where both generations mount the boot partition
BEGIN, END = "# --- Roadside: begin ---", "# --- Roadside: end ---"
SETTINGS = f"""\
{BEGIN}
[all]
# Sensors have the good UART (PL011) on GPIO 14 and 15; Bluetooth, which had it, is off.
enable_uart=1
dtoverlay=disable-bt
# A gateway that hangs resets itself.
dtparam=watchdog=on
[pi5]
dtparam=uart0=on
[all]
{END}
"""
RUN_ONCE = (
    f"systemd.run={MOUNTED}/firstrun.sh",
    "systemd.run_success_action=reboot",
    "systemd.unit=kernel-command-line.target",
)
COUNTRY = "cfg80211.ieee80211_regdom="  # the kernel's, as raspi-config sets it
FIRSTRUN = f"""\
#!/bin/sh
# Written by Roadside. Runs once, at the first start, which then restarts the gateway.
set -e
sh {MOUNTED}/{FOLDER}start
sed -i 's| systemd\\.[^ ]*||g' {MOUNTED}/cmdline.txt
rm -f {MOUNTED}/firstrun.sh
sync
"""
USER_DATA = """\
#cloud-config
# Written by Roadside.
hostname: {gateway}
preserve_hostname: false
ssh_pwauth: false
# At every start: if the first one is cut off, the next goes on. When all is done, nothing is left to run.
bootcmd:
  - [sh, -c, "test ! -e {start} || sh {start} now"]
"""
META_DATA = """\
# Written by Roadside.
dsmode: local
instance-id: roadside-{gateway}-{digest}
"""
NETWORK = """\
# Written by Roadside: what Raspberry Pi OS does anyway, and no start waits for a cable.
network:
  version: 2
  ethernets:
    eth0:
      dhcp4: true
      optional: true
"""


def described(gateway: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the folder `roadside`, by paths on the partition, with a description that vouches for each file in it."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    description = json.dumps({"format": 1, "gateway": gateway, "files": digests}, indent=1).encode() + b"\n"
    return {FOLDER + name: data for name, data in files.items()} | {FOLDER + DESCRIPTION: description}


def starters(
    generation: str, gateway: str, digest: str, cmdline: str, config: str, country: str = ""
) -> dict[str, bytes]:
    """Return the files that make a generation start ours, given the image's own cmdline.txt and config.txt.

    `digest` tells this flashing from every other one: cloud-init does its work again when it changes. `country` is
    where its Wi-Fi is, if it has one.
    """
    options = [one for one in cmdline.split() if not _is_console(one) and not one.startswith("systemd.")]
    if country:
        options = [one for one in options if not one.startswith(COUNTRY)] + [COUNTRY + country]
    files = {"config.txt": with_settings(config)}
    if generation == "trixie":
        files["user-data"] = USER_DATA.format(gateway=gateway, start=f"{MOUNTED}/{FOLDER}start")
        files["meta-data"] = META_DATA.format(gateway=gateway, digest=digest)
        files["network-config"] = NETWORK
    else:
        files["firstrun.sh"] = FIRSTRUN
        options += RUN_ONCE
    files["cmdline.txt"] = " ".join(options) + "\n"
    return {name: text.encode("utf-8", "surrogateescape") for name, text in files.items()}


def with_settings(config: str) -> str:
    """Return a config.txt with our settings at its end, once."""
    before, found, rest = config.partition(BEGIN)
    if found:
        config = before + rest.partition(END)[2].lstrip("\n")
    return config.rstrip("\n") + "\n\n" + SETTINGS


def _is_console(option: str) -> bool:
    """Return whether an option would let the kernel's console speak on a line of a sensor."""
    return option.startswith(("console=serial", "console=ttyAMA", "console=ttyS"))
