"""Keeping what is new in the young end: turning its files, and beginning anew when they are refused or removed."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.journal.frames import Frame, Kind, frame, group
from agent.journal.packing import encode_packs, weight
from agent.journal.status import Fault
from agent.journal.young import FILES
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.journal.pack import Pack
    from agent.journal.state import State
    from agent.journal.status import Faults
    from agent.journal.stock import Stock
    from agent.journal.young import Young

NOWHERE = 0  # in place of a file's number: packs that the young end refused lie in memory alone

_RANKS = {Stream.TELEMETRY: 0, Stream.ALARM: 1}  # in which order they go


class Keeping:
    """Owns the young end. Nothing here raises: what is refused stays in memory, for the card and the next try."""

    def __init__(
        self,
        young: Young,
        stock: Stock,
        state: State,
        faults: Faults,
        *,
        limit: int,
        close_packs: Callable[[], None],
        give_up: Callable[[Sequence[Pack], str], None],
        refused: Callable[[], None],
    ) -> None:
        """Take what the journal does: it closes packs, gives up what has no room, and hurries when one is refused."""
        self.unkept = 0  # frames that were refused
        self._young = young
        self._stock = stock
        self._state = state
        self._faults = faults
        self._limit = limit
        self._close_packs = close_packs
        self._give_up = give_up
        self._refused = refused
        self._together: list[Frame] = []  # what is written as one when the outermost `with` ends
        self._depth = 0  # of those
        self._astray = {NOWHERE}  # files whose packs have to be written again: the end of them may be missing
        self._unkept_bytes = 0  # since the last try
        self._turning = False
        self._vouched = True  # perhaps by an earlier run

    @property
    def file(self) -> int:
        """The number of the file that is being written, or `NOWHERE`."""
        return self._young.number

    @property
    def full(self) -> bool:
        """Whether a new file is due; while none can be had, memory is let to have as much before the next try.

        Never in the midst of what is written as one.
        """
        young = self._young
        return young.full and not self._depth and (young.begun or self._unkept_bytes >= self._limit // FILES)

    def write(self, kind: Kind, payload: bytes) -> None:
        """Write a frame at once, or with the others of the `with` that is open."""
        if self._depth:
            self._together.append(Frame(kind, payload))
        else:
            self._put(frame(kind, payload))

    def __enter__(self) -> None:
        """Write what is written inside as one: a crash leaves all of it or nothing."""
        self._depth += 1

    def __exit__(self, *_error: object) -> None:
        self._depth -= 1
        if self._depth or not self._together:
            return
        together, self._together = self._together, []
        self._put(group(together) if len(together) > 1 else frame(*together[0]))
        if self.full:
            self.turn()

    def _put(self, data: bytes) -> None:
        while self._young.begun:
            try:
                self._young.write(data)
            except OSError as error:
                if not self._make_room(error):
                    self._let_go(error)
            else:
                return
        self.unkept += 1
        self._unkept_bytes += len(data)
        if self._vouched:  # before anybody outside can see the numbers that are in it
            with suppress(OSError):
                self._young.retract()
                self._vouched = False

    def vouch(self) -> None:
        """Say for the next start that the young end has everything, if it has."""
        if self._young.begun and self._astray == {NOWHERE}:
            with suppress(OSError):  # then the next start takes it that numbers are missing: some are never used
                self._young.vouch()
                self._vouched = True

    def _let_go(self, error: OSError) -> None:
        self._astray.add(self._young.number)
        self._young.close()  # what follows would stand behind a hole
        self._fail(error)

    def _fail(self, error: OSError) -> None:
        if not self._faults.stands(Fault.YOUNG):  # once: while it stands, the card gets what comes at its usual pace
            self._refused()
        self._faults.put(Fault.YOUNG, str(error))

    def begin(self) -> bool:
        """Begin a new file, making room for it if need be; returns whether that succeeded."""
        self._unkept_bytes = 0
        while True:
            try:
                self._young.begin(self._state.snapshot())
            except OSError as error:
                if not self._make_room(error):
                    self._fail(error)
                    return False
            else:
                return True

    def _make_room(self, error: OSError) -> bool:
        """Remove the oldest file if that helps and nobody needs it; the newest stays: it holds the newest snapshot."""
        oldest = self._young.oldest
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            return False
        if self._young.count < 2 or self._stock.is_lived_in(oldest):
            return False
        self._stock.leave_file(oldest)
        with suppress(OSError):
            self._young.drop_oldest()
        return True

    def look(self) -> None:
        """Begin anew at once if the file that is being written has been removed; the others are for `check`.

        Never in the midst of what is written as one: the snapshot of the new file would have the half of it.
        """
        if not self._depth and self._young.begun and self._young.is_gone:
            self._astray |= self._young.vanished()
            self._young.close()
            self.turn()

    def check(self) -> None:
        """Notice files that somebody has removed, or that were refused: begin anew with all that is still needed.

        The fault is over once a file has taken everything from one check to the next.
        """
        if self._young.begun:
            self._faults.clear(Fault.YOUNG)
        gone = self._young.vanished()
        if gone:
            names = "the young end" if len(gone) == self._young.count else f"{len(gone)} files of the young end"
            self._faults.put(Fault.DAMAGED, f"{names}: removed while the agent ran")
            self._astray |= gone
        if gone or not self._young.begun:
            self.turn()
        if self._young.begun:
            self._young.forget(gone)

    def turn(self) -> None:
        """Begin a new file, and remove the oldest ones when they are too many."""
        if self._turning:  # what is given up below is stated in the ledger, which may be due for a new file itself
            return
        self._turning = True
        try:
            self._turn()
        finally:
            self._turning = False

    def _turn(self) -> None:
        self._close_packs()
        if self.begin():
            self._bring_in()
        else:
            self._thin_out()
        if self._young.over:
            self._reduce()
        while self._young.over:  # all that is still needed moves on: most of a file is of no use any more
            self._house(self._stock.leave_file(self._young.oldest))
            with suppress(OSError):
                self._young.drop_oldest()

    def _reduce(self) -> None:
        """Give up the oldest, telemetry before alarms, when all that is needed takes half of the room.

        Many at a time: each time costs an entry in the ledger. What accounts for losses stays.
        """
        needed = self._stock.uncommitted()
        alarms = [pack for pack in needed if pack.stream is Stream.ALARM]
        if sum(map(weight, alarms)) > self._limit // 2:
            self._give_up(_excess(alarms, self._limit // 4), "young_full")
            needed = self._stock.uncommitted()
        if sum(map(weight, needed)) > self._limit // 2:
            going = [pack for pack in needed if pack.stream in _RANKS]
            others = sum(weight(pack) for pack in needed if pack.stream not in _RANKS)
            self._give_up(_excess(going, self._limit * 3 // 8 - others), "young_full")

    def _bring_in(self) -> None:
        """Write again what lies in no file that is there and whole."""
        astray, self._astray = self._astray, {NOWHERE}
        for file in sorted(astray):
            self._house(self._stock.leave_file(file, into=self._young.number))
        self.vouch()

    def _thin_out(self) -> None:
        """Keep in memory alone no more than the young end would hold: what the card has needs no room here."""
        homeless = self._stock.leave_file(NOWHERE)
        excess = _excess(homeless, self._limit)
        gone = set(map(id, excess))
        for pack in homeless:
            if id(pack) not in gone:
                self._stock.move_in(pack, NOWHERE)
        self._give_up(excess, "young_full")

    def _house(self, packs: Sequence[Pack]) -> None:
        for pack in packs:
            self._put(frame(Kind.PACKS, encode_packs([pack])))
            self._stock.move_in(pack, self._young.number)


def _excess(packs: Sequence[Pack], room: int) -> list[Pack]:
    """Choose what has to go so that the rest has room: the oldest, telemetry before alarms, and what accounts last."""
    excess = []
    too_much = sum(map(weight, packs)) - room
    for pack in sorted(packs, key=lambda pack: (_RANKS.get(pack.stream, len(_RANKS)), pack.base)):
        if too_much <= 0:
            break
        excess.append(pack)
        too_much -= weight(pack)
    return excess
