"""Room on the card that is taken ahead of need, and given back when a commit finds none."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.seams import Disk

NAME = ".spare"  # hidden: no listing of the journal takes it for a part of it
SIZE = 64 * 1024  # bytes: hundreds of alarms, or the snapshot and the ledger that giving up old readings takes


class Spare:
    """A file that holds nothing but its place. It is called from the thread that owns the card, and never raises.

    On a card that somebody else has filled, alarms have to be moved out of an old segment before that can be removed:
    making room takes room. Written once in the life of a card and never synced: it costs 64 KiB, not one each start.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.is_out = False  # it was given back, and has not been taken again

    def take(self) -> bool:
        """Take the room, unless it is taken already or there is none; returns whether it was taken now."""
        with suppress(OSError):
            if self._disk.size(NAME) == SIZE:
                return False
        try:
            file = self._disk.create(NAME)
            try:
                file.append(bytes(SIZE))
            finally:
                file.close()
        except OSError:
            self._remove()  # a part of it is of no use to us, and of use to others
            return False
        self.is_out = False
        return True

    def give_back(self) -> bool:
        """Give the room back; returns whether there was any."""
        given = self._remove()
        self.is_out = self.is_out or given
        return given

    def _remove(self) -> bool:
        try:
            self._disk.remove(NAME)
        except OSError:
            return False
        return True
