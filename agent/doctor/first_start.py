"""The first start of a card that `roadside flash` has made, by the log that it leaves on the boot partition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.doctor.finding import Check, Verdict, error, fine, unknown, warning
from agent.i18n import _
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.doctor.site import Site

LOG = "roadside-log.txt"  # systemd/first-boot writes it
DESCRIPTION = "roadside/card.json"  # is removed when all is done
DONE, NOT_DONE = "Done: ", re.compile(r"NOT DONE \((\d+) blinks\): (.*)", re.DOTALL)
ADVICE = {
    "1": N_("flash the card again, or take another card"),
    "2": N_("flash the card again, with a release for the system that is on it"),
    "3": N_("flash the card again; if it comes back, send the log to the workshop"),
    "4": N_("make the release anew, with the Debian packages in it, and flash the card again"),
    "5": N_("flash the card again; if it comes back, send the log to the workshop"),
    "6": N_("correct the configuration and flash the card again"),
}


def finished(site: Site) -> Iterator[Verdict]:
    """Look how the first start went."""
    file = site.boot_file(LOG)
    if not file.is_file():
        if site.boot_file(DESCRIPTION).is_file():
            yield warning(_("the card has never been started"), advice=_("put it into the Pi, and switch on"))
        else:
            yield unknown(_("the card was not made by roadside flash"))
        return
    last = file.read_text("utf-8", "replace").rpartition("after power-on: ")[2].strip()
    if failed := NOT_DONE.match(last):
        text = _("the first start failed ({blinks} blinks of the green LED): {why}")
        why = " ".join(failed[2].split())
        yield error(text.format(blinks=failed[1], why=why), advice=_(ADVICE.get(failed[1], ADVICE["3"])))
    elif last.startswith(DONE):
        yield fine(_("the first start is done"))
    else:
        advice = _("put the card into the Pi, switch on, and wait until the green LED stays on")
        yield warning(_("the first start was cut off at: {what}").format(what=last), advice=advice)


CHECKS = (Check("card.first_start", N_("until it is done the agent is not installed"), finished),)
