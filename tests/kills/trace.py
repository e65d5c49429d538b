"""What strace(1) saw: which system calls a process made, which of them returned, and which bytes they wrote."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Of `strace -ff -y -xx`: a file for each thread, one line a call, every string in hexadecimal.
OPTIONS = ("-ff", "-qq", "-y", "-xx", "-s", str(1 << 20))
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>\S+).*|(?P<cut>\w+)\((?P<before>.*)")
_TEXT = re.compile(r'(?:"|<)((?:\\x[0-9a-f]{2})*)(?:"|>)(\.\.\.)?')
_UNSEEN = "?"  # the result of a call that did not return


class Call(NamedTuple):
    """One system call of one thread."""

    name: str
    arguments: str
    result: str

    @property
    def returned(self) -> bool:
        """Whether the process was told a result."""
        return self.result != _UNSEEN

    @property
    def succeeded(self) -> bool:
        """Whether it returned, and with no error."""
        return self.returned and not self.result.startswith("-")

    def texts(self) -> list[bytes]:
        """Return its paths and buffers in order."""
        found = []
        for text, cut in _TEXT.findall(self.arguments):
            assert not cut, f"strace shortened what was written: {self.arguments[:200]}"
            found.append(bytes.fromhex(text.replace("\\x", "")))
        return found

    def path(self) -> str:
        """Return the last path among its arguments; of a call that makes or removes a file, that is the file."""
        paths = [text for text in self.texts() if text.startswith(b"/")]
        return paths[-1].decode(errors="replace") if paths else ""


@dataclass(slots=True)
class WrittenFile:
    """A file as the completed writes have left it."""

    data: bytearray = field(default_factory=bytearray)
    removed: bool = False  # or perhaps so: a call that did not return may have been done


class Trace:
    """The trace of one run: the calls of each thread, that of the main thread first."""

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.glob("trace.*"), key=lambda path: int(path.suffix[1:]))
        self.threads = [list(_calls(path)) for path in files]

    def counts(self) -> Counter[str]:
        """Return how often the thread that made a call most often made it."""
        most: Counter[str] = Counter()
        for calls in self.threads:
            most |= Counter(call.name for call in calls)
        return most

    def before(self, path: str) -> Counter[str]:
        """Return how often the main thread made each call before it first opened something below a path."""
        counted: Counter[str] = Counter()
        for call in self.threads[0]:
            if call.name == "openat" and path in call.path():
                break
            counted[call.name] += 1
        return counted

    def written(self, suffix: str) -> dict[str, WrittenFile]:
        """Return by path every file of one kind that was made, as far as its writes returned."""
        files: dict[str, WrittenFile] = {}
        for call in (call for calls in self.threads for call in calls):
            if call.name not in {"openat", "pwrite64", "ftruncate", "unlink", "unlinkat"}:
                continue
            path = call.texts()[0].decode() if call.name == "pwrite64" else call.path()
            if not path.endswith(suffix):
                continue
            if call.name == "openat" and "O_TRUNC" in call.arguments and call.succeeded:
                files[path] = WrittenFile()
            elif call.name == "pwrite64" and call.succeeded:
                _write(files[path], call)
            elif call.name == "ftruncate" and call.succeeded:
                del files[path].data[int(call.arguments.rpartition(",")[2]) :]
            elif call.name.startswith("unlink"):
                files.setdefault(path, WrittenFile()).removed = True
        return files


def _write(file: WrittenFile, call: Call) -> None:
    at = int(call.arguments.rpartition(",")[2])
    done = call.texts()[1][: int(call.result)]
    file.data[at : at + len(done)] = done


def _calls(path: Path) -> Iterator[Call]:
    with path.open(encoding="ascii") as lines:
        for line in lines:
            if line.startswith(("+++", "---")):
                continue
            found = _CALL.fullmatch(line.rstrip("\n"))
            if found and found["name"]:
                yield Call(found["name"], found["arguments"], found["result"])
            elif found:  # strace itself was ended in the middle of this line
                yield Call(found["cut"], found["before"], _UNSEEN)
