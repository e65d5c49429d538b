"""What a gateway knows itself by: a key that never leaves it, its certificate, and whom it believes.

    /var/lib/roadside/identity/
        current -> 5f0c...         which enrolment counts; the configuration names files behind this link
        5f0c.../gateway.key        made here, readable by its owner alone
                gateway.pem        our certificate, and behind it what leads to the authority
                ca.pem             the authority
                service            the URL to renew at

An enrolment's folder is named after its claim and made whole before `current` points to it, in one rename. So it can be
cut anywhere: with the same claim it goes on where it was, with the same key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.enrolling.shredding import shred
from agent.host.disk import Folder, whole_file
from agent.uplink import x509

if TYPE_CHECKING:
    from pathlib import Path

CURRENT = "current"
KEY, CHAIN, AUTHORITY, SERVICE = "gateway.key", "gateway.pem", "ca.pem", "service"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The folder of one enrolment, whole or not yet."""

    folder: Path

    @property
    def key(self) -> Path:
        """Return where the private key is."""
        return self.folder / KEY

    @property
    def chain(self) -> Path:
        """Return where our certificate is."""
        return self.folder / CHAIN

    @property
    def authority(self) -> Path:
        """Return where the authority's certificate is."""
        return self.folder / AUTHORITY

    @property
    def url(self) -> str:
        """Return where to renew; raises OSError."""
        return (self.folder / SERVICE).read_text("utf-8").strip()

    def validity(self) -> x509.Validity:
        """Return the dates of our certificate; raises OSError and ValueError."""
        return x509.of_pem(self.chain.read_text("ascii"))

    def keep(self, name: str, text: str) -> None:
        """Put a file in place at once; raises OSError."""
        Folder(self.folder).replace(name, text.encode())

    def keep_key(self, text: str) -> None:
        """Put the key in place, which nobody but its owner may ever read; raises OSError."""
        with whole_file(self.key, encoding="ascii") as file:
            file.write(text)


@dataclass(frozen=True, slots=True)
class Identity:
    """The folder with `current` in it."""

    folder: Path

    def enrolment(self, mark: str) -> Enrolment:
        """Return the folder of one claim, which is made if it is not there; raises OSError."""
        folder = self.folder / mark
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        return Enrolment(folder)

    def current(self) -> Enrolment | None:
        """Return the enrolment that counts, if there is one."""
        link = self.folder / CURRENT
        return Enrolment(self.folder / link.readlink()) if link.is_symlink() else None

    def settle(self, enrolment: Enrolment) -> None:
        """Have an enrolment count from now on, and no other; raises OSError."""
        new = self.folder / f".{CURRENT}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(enrolment.folder.name)
        new.replace(self.folder / CURRENT)
        Folder(self.folder).sync_folder()
        for other in self.folder.iterdir():
            if other.is_dir() and not other.is_symlink() and other != enrolment.folder:
                for file in other.iterdir():
                    shred(file)
                os.rmdir(other)
