"""The control socket's `resend`: what a technician may ask to have sent again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agent.control import ControlError
from agent.i18n import _
from agent.journal.resending import Numbers
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from agent.journal.journal import Journal
    from agent.journal.ranges import Ranges
    from agent.journal.state import Key
    from agent.seams import Clock

MADE_OF_MEASUREMENTS = {Stream.TELEMETRY, Stream.ALARM}


def verb(
    journal: Journal, uplinks: Collection[str], clock: Clock
) -> Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]:
    """Return what answers `{"do": "resend", "uplink": "city"}`.

    It may have `since` (seconds back from now, in this boot), or `numbers` (`[first, last]`) with `stream` and `epoch`.
    """

    async def resend(request: dict[str, Any]) -> dict[str, Any]:
        uplink = request.get("uplink")
        if not isinstance(uplink, str) or uplink not in uplinks:
            text = _("no uplink '{uplink}'; there are: {uplinks}")
            raise ControlError(text.format(uplink=uplink, uplinks=", ".join(uplinks) or "-"))
        try:
            resent = await journal.resend(uplink, _wanted(request, clock))
        except (ValueError, TypeError, OverflowError) as error:
            raise ControlError(_("cannot be understood: {error}").format(error=error)) from None
        except OSError as error:
            raise ControlError(_("the card cannot be read: {error}").format(error=error)) from None
        return {
            "readings": _count(resent.again),
            "waiting": _count(resent.waiting),
            "gone": _listed(resent.gone),
            "never": _listed(resent.never),
        }

    return resend


def _count(numbers: Mapping[Key, Ranges]) -> int:
    return sum(ranges.count() for (_epoch, stream), ranges in numbers.items() if stream in MADE_OF_MEASUREMENTS)


def _listed(numbers: Mapping[Key, Ranges]) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "stream": stream.value, "first": first, "last": last}
        for (epoch, stream), ranges in numbers.items()
        for first, last in ranges
    ]


def _wanted(request: dict[str, Any], clock: Clock) -> Numbers | int | None:
    """Return the records in question; raises ValueError or TypeError."""
    if "numbers" in request:
        first, last = map(int, request["numbers"])
        if not 0 < first <= last:
            raise ValueError(f"{first}-{last}")
        epoch = str(request.get("epoch", ""))
        if not re.fullmatch("|[0-9a-f]{16}", epoch):
            raise ValueError(ascii(epoch[:40]))
        return Numbers(epoch, Stream(request.get("stream", "telemetry")), first, last)
    if "since" in request:
        return clock.boottime() - round(float(request["since"]) * 1e9)
    return None
