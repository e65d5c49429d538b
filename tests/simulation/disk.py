"""A disk in memory that can lose power at any moment, and fail in every way that a card or a tmpfs does.

Deterministic: whatever could go one way or the other is decided by a `choose` that the caller hands in. The model is
that of Linux. What is written is seen by everybody at once, and reaches the medium in pieces, in any order, each as it
was at some moment since the last sync; the size of a file and the names in the folder do so on their own. A sync that
fails marks the pieces clean all the same: the next sync succeeds and writes nothing.
"""

from __future__ import annotations

import copy
import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Choose = Callable[[int], int]  # of so many possibilities, return the index of one; the last is the newest
    Hook = Callable[[str, str], None]  # is told operation and name before each operation; may raise

T = TypeVar("T")

SECTOR, PAGE = 512, 4096  # bytes: what a card writes whole, and what the kernel does
UNLIMITED = 1 << 40  # bytes
FOREVER = 1 << 40  # times
CHANGES = frozenset({"create", "write", "cut", "sync", "remove", "rename", "sync_folder"})


class Killed(BaseException):
    """The process is gone, in the middle of what it did."""


class Death:
    """A hook for one disk or several: the process is killed at the operation so many from now, and stays dead."""

    def __init__(self, at: int = UNLIMITED) -> None:
        """`at`: 1 is the very next operation."""
        self.left = at

    def __call__(self, operation: str, name: str) -> None:
        """Count one operation."""
        self.left -= 1
        if self.left <= 0:
            message = f"{operation} {name}"
            raise Killed(message)


@dataclass(slots=True, eq=False)
class Inode:
    """A file as everybody sees it, and what may be on the medium instead."""

    piece: int  # bytes that reach the medium whole; 0 where there is no medium
    content: bytearray = field(default_factory=bytearray)
    sizes: list[int] = field(default_factory=lambda: [0])  # which the medium may know, oldest first
    versions: dict[int, list[bytes]] = field(default_factory=dict)  # the same for each piece that is not synced
    dirty: set[int] = field(default_factory=set)  # pieces that the next sync writes
    resized: bool = False

    def write(self, at: int, data: bytes) -> None:
        """Put data at a place; where that is beyond the end, a hole comes first."""
        pieces = self._pieces(min(at, len(self.content)), at + len(data))
        self._note_before(pieces)
        if data:
            self.content.extend(bytes(max(0, at - len(self.content))))
        self.content[at : at + len(data)] = data
        self._note_after(pieces)

    def cut(self, size: int) -> None:
        """Cut the file to a size."""
        pieces = self._pieces(size, len(self.content))
        self._note_before(pieces)
        del self.content[size:]
        self._note_after(pieces)

    def _pieces(self, first: int, end: int) -> range:
        return range(first // self.piece, -(-end // self.piece)) if self.piece else range(0)

    def _note_before(self, pieces: range) -> None:
        for number in pieces:
            self.versions.setdefault(number, [self.at(number)])

    def _note_after(self, pieces: range) -> None:
        for number in pieces:
            _note(self.versions[number], self.at(number))
            self.dirty.add(number)
        if pieces:
            _note(self.sizes, len(self.content))
            self.resized = self.resized or len(self.sizes) > 1

    def at(self, number: int) -> bytes:
        """Return a piece as it is seen now."""
        return bytes(self.content[number * self.piece : (number + 1) * self.piece])

    def sync(self) -> None:
        """Bring what is dirty to the medium."""
        for number in self.dirty:
            del self.versions[number]
        self.dirty.clear()
        if self.resized:
            self.sizes = [len(self.content)]
            self.resized = False

    def fail_to_sync(self) -> None:
        """Mark it clean without bringing it there for sure."""
        self.dirty.clear()
        self.resized = False

    def lose_power(self, choose: Choose) -> None:
        """Become what is on the medium."""
        size = _one_of(self.sizes, choose)
        for number, versions in sorted(self.versions.items()):
            at = number * self.piece
            self.content.extend(bytes(max(0, at - len(self.content))))
            self.content[at : at + self.piece] = _one_of(versions, choose).ljust(self.piece, b"\0")
        del self.content[size:]
        self.content.extend(bytes(size - len(self.content)))
        self.be_synced()

    def flip(self, bit: int) -> None:
        """Flip a bit of what is seen, and of what the medium got last."""
        self.content[bit // 8] ^= 1 << bit % 8
        number = bit // 8 // self.piece if self.piece else 0
        if number in self.versions:
            self.versions[number][-1] = self.at(number)

    def be_synced(self) -> None:
        """Have on the medium what is seen."""
        self.versions.clear()
        self.sizes = [len(self.content)]
        self.fail_to_sync()


class SimulatedFile:
    """Implements `agent.seams.File`; of no use any more once its process was killed."""

    def __init__(self, disk: SimulatedDisk, inode: Inode, name: str) -> None:
        self._disk = disk
        self._inode = inode
        self._name = name
        self._life = disk.life
        self._length = 0
        self._open = True

    def append(self, data: bytes) -> None:
        """Write all of it, page by page; on a short write cut the file back to what it was, then raise."""
        at = self._length
        try:
            while at < self._length + len(data):
                rest = data[at - self._length :][: PAGE - at % PAGE]
                self._enter("write")
                room = self._disk.room() + max(0, len(self._inode.content) - at)
                self._inode.write(at, rest[:room])
                at += min(room, len(rest))
                if room < len(rest):
                    raise _error(errno.ENOSPC, self._name)
        except OSError:
            self._cut_back()
            raise
        self._length = at

    def _cut_back(self) -> None:
        try:
            self._enter("cut")
        except OSError:
            return
        self._inode.cut(self._length)

    def sync(self) -> None:
        """Bring all that was appended to the medium."""
        try:
            self._enter("sync")
        except OSError:
            self._inode.fail_to_sync()
            raise
        self._inode.sync()

    def close(self) -> None:
        """Give the file back. Harmless to call again."""
        self._open = False

    def _enter(self, operation: str) -> None:
        if self._life != self._disk.life:
            raise Killed
        if not self._open:
            raise _error(errno.EBADF, self._name)
        self._disk.enter(operation, self._name)


@dataclass(slots=True)
class _Refusal:
    operation: str
    code: int
    name: str | None
    times: int


class SimulatedDisk:
    """Implements `agent.seams.Disk`; what it does step by step is what `agent.host.disk.Folder` does.

    Operations, as `before` and `refuse` name them: names, read, size, create, write (each page of an append), cut
    (back, after a short write), sync, remove, rename (in `replace`), sync_folder, free.
    """

    def __init__(self, *, volatile: bool = False, piece: int = PAGE) -> None:
        """`volatile`: a tmpfs, of which a power cut leaves nothing. `piece`: bytes that reach the medium whole."""
        self.before: Hook = _nothing
        self.capacity = UNLIMITED  # bytes of all files together
        self.read_only = False
        self.blocked = False  # something that is no folder stands in its place
        self.life = 0
        self._volatile = volatile
        self._piece = 0 if volatile else piece
        self._names: dict[str, Inode] = {}
        self._unsynced: dict[str, list[Inode | None]] = {}  # by name: what it may be on the medium
        self._refusals: list[_Refusal] = []

    # --- what the agent does ---------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of the files, sorted; what `replace` left behind is hidden."""
        self.enter("names")
        return sorted(name for name in self._names if not name.startswith("."))

    def read(self, name: str) -> bytes:
        """Return the whole file."""
        self.enter("read", name)
        return bytes(self._find(name).content)

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        self.enter("size", name)
        return len(self._find(name).content)

    def create(self, name: str) -> SimulatedFile:
        """Make an empty file, or empty the one that is there, and open it for appending."""
        self.enter("create", name)
        inode = self._names.get(name)
        if inode is None:
            inode = Inode(self._piece)
            self._link(name, inode)
        else:
            inode.cut(0)
        return SimulatedFile(self, inode, name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.enter("remove", name)
        self._find(name)
        self._link(name, None)

    def replace(self, name: str, data: bytes) -> None:
        """Put a whole file in place at once, synced."""
        new = f".{name}.new"
        try:
            file = self.create(new)
            file.append(data)
            file.sync()
            self.enter("rename", name)
            self._link(name, self._find(new))
            self._link(new, None)
        except OSError:
            self._names.pop(new, None)
            raise
        self.sync_folder()

    def sync_folder(self) -> None:
        """Bring made and removed names to the medium."""
        self.enter("sync_folder")
        self._unsynced.clear()

    def free(self) -> int:
        """Return how many bytes are free."""
        self.enter("free")
        return self.room()

    # --- what happens to it ----------------------------------------------------------------------------------------

    def kill(self) -> None:
        """The process is gone: what it wrote is there, what it held open is of no use."""
        self.life += 1

    def power_cut(self, choose: Choose) -> None:
        """The power is gone; `choose` says what had reached the medium of all that was not synced."""
        self.kill()
        if self._volatile:
            self._names.clear()
        for name, inodes in sorted(self._unsynced.items()):
            self._set(name, _one_of(inodes, choose))
        self._unsynced.clear()
        for _, inode in sorted(self._names.items()):
            inode.lose_power(choose)

    def vanish(self) -> None:
        """Somebody removes the folder; it is made again when it is next needed."""
        self._names.clear()
        self._unsynced.clear()

    def refuse(self, operation: str, code: int, *, name: str | None = None, times: int = 1) -> None:
        """Let the next so many calls of an operation fail, on a file or on any."""
        self._refusals.append(_Refusal(operation, code, name, times))

    def heal(self) -> None:
        """End every fault that was switched on."""
        self._refusals.clear()
        self.capacity, self.read_only, self.blocked = UNLIMITED, False, False

    def relent(self, operation: str) -> None:
        """Refuse calls of one operation no longer."""
        self._refusals = [one for one in self._refusals if one.operation != operation]

    def flip(self, name: str, bit: int) -> None:
        """Flip a bit of a file at rest."""
        self._find(name).flip(bit)

    def bring_back(self, name: str, content: bytes) -> None:
        """Have a file that was removed long ago appear again."""
        self._names[name] = Inode(self._piece, bytearray(content))
        self._names[name].be_synced()

    def copy(self) -> SimulatedDisk:
        """Return a disk that holds the same, to go on from here in another way; without the hook."""
        hook, self.before = self.before, _nothing
        try:
            other = copy.deepcopy(self)
        finally:
            self.before = hook
        return other

    def room(self) -> int:
        """Return how many bytes are left."""
        return max(0, self.capacity - sum(len(inode.content) for inode in self._names.values()))

    # --- inside ----------------------------------------------------------------------------------------------------

    def enter(self, operation: str, name: str = "") -> None:
        """Begin an operation, or raise what stands in its way."""
        self.before(operation, name)
        for refusal in self._refusals:
            if refusal.times and refusal.operation == operation and refusal.name in {None, name}:
                refusal.times -= 1
                raise _error(refusal.code, name)
        if self.blocked and operation not in {"write", "cut", "sync"}:
            raise _error(errno.ENOTDIR, name)
        if self.read_only and operation in CHANGES:
            raise _error(errno.EROFS, name)

    def _find(self, name: str) -> Inode:
        if name not in self._names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return self._names[name]

    def _link(self, name: str, inode: Inode | None) -> None:
        if not self._volatile:
            _note(self._unsynced.setdefault(name, [self._names.get(name)]), inode)
        self._set(name, inode)

    def _set(self, name: str, inode: Inode | None) -> None:
        self._names.pop(name, None)
        if inode is not None:
            self._names[name] = inode


class _Script:
    """Chooses what is written down, then the first; knows how many there were to choose from."""

    def __init__(self, choices: list[int]) -> None:
        self.choices = choices
        self.counts: list[int] = []

    def choose(self, count: int) -> int:
        self.counts.append(count)
        at = len(self.counts) - 1
        if at == len(self.choices):
            self.choices.append(0)
        return self.choices[at]

    def next(self) -> list[int] | None:
        """Return the choices that come next, counting up from the end; None after the last."""
        choices = list(self.choices)
        while choices and choices[-1] == self.counts[len(choices) - 1] - 1:
            choices.pop()
        return [*choices[:-1], choices[-1] + 1] if choices else None


def every_outcome(play: Callable[[Choose], T]) -> Iterator[T]:
    """Play again and again until every way to choose has been chosen; yields what each play returned."""
    choices: list[int] | None = []
    while choices is not None:
        script = _Script(choices)
        yield play(script.choose)
        choices = script.next()


def _one_of(versions: list[T], choose: Choose) -> T:
    return versions[choose(len(versions))] if len(versions) > 1 else versions[0]


def _note(versions: list[T], now: T) -> None:
    if versions[-1] != now:
        versions.append(now)


def _nothing(operation: str, name: str) -> None:
    """Let every operation pass."""


def _error(code: int, name: str) -> OSError:
    return OSError(code, os.strerror(code), name)
