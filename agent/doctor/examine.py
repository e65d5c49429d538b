"""All subjects in the order in which they are to be mended, and the mending of what is safe to mend."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.doctor import card, clock, first_start, gpio, network, ports, power, running, serial, service
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.doctor.finding import Command, Finding
    from agent.doctor.site import Site

# The supply first: what it damages looks like anything else. The clock before the network: certificates have dates.
FIRST = (
    *power.CHECKS,
    *first_start.CHECKS,
    *card.CHECKS,
    *service.CHECKS,
    *serial.CHECKS,
    *ports.CHECKS,
    *gpio.CHECKS,
    *clock.CHECKS,
)
ON_A_CARD = {
    check.name: check
    for check in (*first_start.CHECKS, *card.ON_A_CARD, *service.ON_A_CARD, *serial.CHECKS, *gpio.CHECKS)
    if check.name != "gpio.chip"  # which is not on the card
}


class Mended(NamedTuple):
    """What came of a command."""

    command: Command
    error: str  # "" if it went well


def examine(site: Site) -> Iterator[Finding]:
    """Yield what every check finds."""
    if not site.live:
        for check in ON_A_CARD.values():
            yield from check.findings(site)
        return
    clocks = []
    for check in FIRST:
        for finding in check.findings(site):
            clocks.append(finding)
            yield finding
    yield from network.findings(site, clock_is_wrong=clock.is_wrong(clocks))
    for check in running.CHECKS:
        yield from check.findings(site)


def safe(findings: Iterable[Finding]) -> list[Command]:
    """Return the commands that may be run without asking, each once."""
    return list(dict.fromkeys(command for finding in findings for command in finding.commands if command.safe))


def mend(site: Site, commands: Iterable[Command]) -> Iterator[Mended]:
    """Run commands, one by one, and have what they wrote put on the card: a boot file must not be half there."""
    for command in commands:
        try:
            done = site.run(command.argv)
        except OSError as error:
            yield Mended(command, str(error))
            continue
        said = done.errors.strip() or _("exit status {status}").format(status=done.status)
        yield Mended(command, said if done.status else "")
    site.run(("sync",))
