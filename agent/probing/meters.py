"""Which of our profiles a Modbus device fits: that which answers all that is read, with values that can be.

Registers carry no names, so that this is a guess, and the profile that holds most of them is the best one. A device
that refuses what it does not have helps; one that fills its gaps with zeros does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.probing.evidence import Match, Sureness
from agent.probing.questions import profiles
from drivers.contract import BusOutputDriver, Fault, FaultKind, Measurement

if TYPE_CHECKING:
    from agent.sampler.poll import Bus
    from drivers.contract import Item, PollingDriver, SerialLine

MANY = 6  # values: that so many fit by chance is not likely
ITS_OWN_LINE = 0.5  # what it counts in values that the line is set as the device leaves the factory


async def matches(bus: Bus, address: int, line: SerialLine | None) -> list[Match]:
    """Return the profiles that fit the device at an address, the best first; raises PortError.

    `line` is how the line is set; None if that tells nothing.
    """
    found: list[Match] = []
    for name, driver in profiles().items():
        items = await _asked(bus, address, driver)
        values = [item for item in items if isinstance(item, Measurement)]
        if not values or any(isinstance(item, Fault) and item.kind is FaultKind.REFUSED for item in items):
            continue
        fit = sum(item.value is not None and (isinstance(item.value, bool) or item.value != 0) for item in values)
        share = (fit + 1) / (len(values) + 1)  # an idle device has zeros, too
        worth = fit * share + (ITS_OWN_LINE if driver.line == line else 0.0)
        sureness = Sureness.LIKELY if fit >= MANY and share >= 0.5 else Sureness.MAYBE
        found.append(Match(name, sureness, fit, len(values) - fit, worth))
    good = [match for match in found if match.frames >= match.faults]
    return sorted(good or found, key=lambda match: (-match.sureness, -match.bits, match.driver))


async def _asked(bus: Bus, address: int, driver: PollingDriver | BusOutputDriver) -> list[Item]:
    """Return what comes of one poll with a profile; an output is looked at, and never switched."""
    settings: Any = driver.settings(address=address)
    poll = driver.make(settings).look() if isinstance(driver, BusOutputDriver) else driver.make(settings).poll()
    items: list[Item] = []
    await bus.converse(poll, lambda heard, _at: items.extend(heard), driver.line)
    return items
