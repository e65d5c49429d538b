"""Files of one kind in a folder, numbered in the order in which they were made."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.seams import Disk, File


class NumberedFiles:
    """The files `0000000001.suffix` and so on of one disk. Methods raise OSError."""

    def __init__(self, disk: Disk, suffix: str) -> None:
        self._disk = disk
        self._suffix = suffix
        self._pattern = re.compile(rf"([0-9]{{10,18}})\.{re.escape(suffix)}")

    def name(self, number: int) -> str:
        """Return the name of the file with a number."""
        return f"{number:010}.{self._suffix}"

    def numbers(self) -> list[int]:
        """Return the numbers of the files that are there, in order."""
        matches = filter(None, map(self._pattern.fullmatch, self._disk.names()))
        return sorted(number for match in matches if self.name(number := int(match[1])) == match[0])

    def create_after(self, number: int) -> tuple[int, File]:
        """Make the file behind a number and behind all that are there: what could not be read stays whole."""
        new = max([number, *self.numbers()]) + 1
        while True:
            try:
                return new, self._disk.create(self.name(new))
            except OSError as error:
                if error.errno not in {errno.EISDIR, errno.ELOOP, errno.ENXIO}:
                    raise
                new += 1  # a folder, link or FIFO of that name is no file of ours, and stays where it is

    def is_gone(self, name: str) -> bool:
        """Return whether a file has been removed. A disk that does not answer has not said so."""
        try:
            self._disk.size(name)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False
