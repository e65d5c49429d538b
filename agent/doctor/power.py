"""The supply: whether it is low now, and how often it was since the boot.

Source: Linux, drivers/hwmon/raspberrypi-hwmon.c. The firmware's own memory of it is cleared every 2 s by that driver:
how often it was low only the agent has counted (driver `host`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.doctor.finding import Check, Verdict, error, fine, unknown, warning
from agent.i18n import _, ngettext
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.doctor.site import Site

HOST = "host"  # the driver that counts
VOLTAGE = "rpi_volt"
SUPPLY = N_("use the supply of the Pi's maker (a Pi 5 wants 5.1 V, 5 A; a Pi 4 3 A) and a short, thick cable")
COUNTED = N_('have the agent count: add [devices.pi] with driver = "host" to the configuration')


def now(site: Site) -> Iterator[Verdict]:
    """Ask the kernel."""
    for file in site.glob("sys/class/hwmon/hwmon*/in0_lcrit_alarm"):
        if (file.parent / "name").read_text("utf-8").strip() == VOLTAGE:
            if file.read_text("utf-8").strip() == "1":
                yield error(_("the supply is below 4.63 V at this moment"), advice=_(SUPPLY))
            else:
                yield fine(_("the supply is high enough now"))
            return
    yield unknown(_("this machine does not tell how high its supply is"))


def since_boot(site: Site) -> Iterator[Verdict]:
    """Ask the agent."""
    counts = [
        value["value"]
        for device in site.status.get("devices", {}).values()
        if device.get("driver") == HOST
        for quantity, value in device.get("values", {}).items()
        if quantity == "undervoltages" and "value" in value
    ]
    if not site.status:
        yield unknown(_("how often the supply was low is not known: {why}").format(why=site.status_problem))
    elif not counts:
        yield unknown(_("nobody counts how often the supply is low"), advice=_(COUNTED))
    elif counts[0]:
        count = int(counts[0])
        text = ngettext(
            "the supply was low {count} time since the boot", "the supply was low {count} times since the boot", count
        )
        yield warning(text.format(count=count), advice=_(SUPPLY))
    else:
        yield fine(_("the supply was never low since the boot"))


WHY = N_("a Pi that is short of power resets itself, and damages its card")
CHECKS = (Check("power.now", WHY, now), Check("power.since_boot", WHY, since_boot))
