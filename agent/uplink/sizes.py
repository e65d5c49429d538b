"""What sizes of payload a broker does not take, as far as it has been seen.

Some brokers say so in the acknowledgement. Others close the connection, and what they closed it over must be guessed:
a payload beyond the limit is the largest of those without an answer. A wrong guess costs bytes and no reading, because
all that follows from it is smaller packs.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.journal.pack import Pack

FORGET_AFTER = 3600.0  # seconds: whoever runs the broker may have raised its limit
NEXT = 0.75  # of what was too large is tried next: half a pack, with its head, is less, and its equals are not
SMALL = 1024  # bytes: no broker's limit is below; connections that break over such messages break for another reason


class Sizes:
    """What is not worth sending as a whole, and what is suspected not to be."""

    def __init__(self) -> None:
        self._too_large = math.inf
        self._until = 0.0
        self._accepted = 0  # largest payload on this connection
        self._suspect: tuple[str, str, int, int] | None = None

    def fits(self, size: int) -> bool:
        """Return whether a payload of so many bytes is worth sending as a whole."""
        if size >= self._too_large and _now() >= self._until:
            self._too_large = math.inf
        return size < self._too_large

    def accepted(self, size: int) -> None:
        """The broker took a payload of so many bytes."""
        self._accepted = max(self._accepted, size)

    def refused(self, size: int) -> None:
        """The broker does not take a payload of so many bytes."""
        self._too_large = min(self._too_large, NEXT * size)
        self._until = _now() + FORGET_AFTER

    def lost(self, pack: Pack, size: int) -> None:
        """The connection broke, with this as the largest pack without an answer; the second time, it broke over it."""
        suspect = pack.stream.value, pack.epoch, pack.first, pack.last
        if size <= max(self._accepted, SMALL):
            self._suspect = None
        elif suspect == self._suspect:
            self._suspect = None
            self.refused(size)
        else:
            self._suspect = suspect
        self._accepted = 0


def _now() -> float:
    return asyncio.get_running_loop().time()
