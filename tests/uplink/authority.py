"""An authority made with openssl for one test: it issues what the test asks for, good or bad."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[ca]
default_ca = it
[it]
database = {folder}/index
rand_serial = yes
new_certs_dir = {folder}
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""
GOOD_CA = (
    "basicConstraints = critical,CA:TRUE",
    "keyUsage = critical,keyCertSign,cRLSign",
    "subjectKeyIdentifier = hash",
)
KEY_IDS = ("subjectKeyIdentifier = hash", "authorityKeyIdentifier = keyid")
SERVER = (
    *KEY_IDS,
    "basicConstraints = critical,CA:FALSE",
    "keyUsage = critical,digitalSignature",
    "extendedKeyUsage = serverAuth",
)
CLIENT = (*SERVER[:-1], "extendedKeyUsage = clientAuth")
LOCALHOST = "subjectAltName = DNS:localhost,IP:127.0.0.1"


class Pair(NamedTuple):
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates."""

    def __init__(self, folder: Path, extensions: tuple[str, ...] = GOOD_CA) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "index").touch()
        (folder / "config").write_text(CONFIG.format(folder=folder))
        self._own: Pair | None = None
        self._own = self.issue("authority", extensions)

    @property
    def certificate(self) -> Path:
        assert self._own is not None
        return self._own.certificate

    def broker(self, name: str = "broker", *extensions: str, start: float = -1, end: float = 30) -> Pair:
        return self.issue(name, (*SERVER, *(extensions or (LOCALHOST,))), start, end)

    def gateway(self, name: str = "pkt-0042", *, start: float = -1, end: float = 30) -> Pair:
        return self.issue(name, CLIENT, start, end)

    def issue(self, name: str, extensions: tuple[str, ...], start: float = -1, end: float = 30) -> Pair:
        """Return a new certificate that is valid from and to so many days from now."""
        made = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, wanted = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        wanted.write_text("\n".join(extensions) + "\n")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", made.key)
        openssl("req", "-new", "-key", made.key, "-subj", f"/CN={name}", "-out", request)
        signed_by = (
            ("-selfsign", "-keyfile", made.key)
            if self._own is None
            else ("-cert", self._own.certificate, "-keyfile", self._own.key)
        )
        dates = ("-startdate", _date(start), "-enddate", _date(end))
        openssl(
            "ca", "-config", self._folder / "config", "-batch", "-notext", *signed_by, *dates,
            "-in", request, "-extfile", wanted, "-out", made.certificate,
        )  # fmt: skip
        return made


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _date(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
