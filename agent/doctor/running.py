"""What the running agent itself complains about: its devices, its journal, its uplinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import status
from agent.doctor.finding import Check, Command, Verdict, fine, unknown, warning
from agent.i18n import _
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.doctor.site import Site


def troubles(site: Site) -> Iterator[Verdict]:
    """Pass on what it says."""
    if not site.status:
        yield unknown(site.status_problem, Command(("systemctl", "start", "roadside.service")))
        return
    try:
        found = status.troubles(dict(site.status))
    except (LookupError, TypeError, AttributeError):
        restart = Command(("systemctl", "restart", "roadside.service"))
        text = _("the agent that runs is of another version ({version}) than this command")
        yield warning(text.format(version=site.status.get("version")), restart)
        return
    for trouble in found:
        yield warning(trouble, Command(("roadside", "status")))
    if not found:
        yield fine(_("the agent complains about nothing"))


CHECKS = (Check("agent.troubles", N_("the agent knows best what it does not get"), troubles),)
