"""What must not leave the gateway: found where secrets lie, and taken out of every text that is passed on.

Two nets, one behind the other: whatever stands in a file of secrets is looked for in every text; and what looks like a
secret is taken out even where nobody knows it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.doctor.site import Site

TAKEN_OUT = "(taken out)"
SHORTEST = 4  # characters of a secret that is looked for: a shorter one would be found in every word
LONGEST = 65_536  # bytes of a file that may hold secrets
LONG_LINE = 20  # characters of a line of a key (PEM has 64)

# Each file here is a secret as a whole.
WHOLE = (
    "etc/roadside/credentials/*",
    "etc/roadside/**/*.key",
    "etc/roadside/**/*password*",
    "etc/roadside/**/*claim*",
    "etc/roadside/**/*token*",
    "etc/roadside/**/*secret*",
    "var/lib/roadside/**/*.key",
    "var/lib/roadside/**/*claim*",
    "etc/ssh/ssh_host_*_key",
)
# In each of these there are secrets behind words such as `psk=`.
PARTS = (
    "etc/NetworkManager/system-connections/*",
    "etc/wpa_supplicant/*.conf",
    "etc/shadow",
)
WHOLE_OF_BOOT = ("roadside/claim", "roadside/credentials/*")  # until the first start has moved them away
PARTS_OF_BOOT = ("user-data", "network-config", "firstrun.sh", "custom.toml", "wpa_supplicant.conf", "userconf.txt")

_WORDS = (
    r"(?:[a-z0-9_-]{0,40}(?:password|passwd|passphrase|passcode|psk|secret|token|api[_-]?key|private[_-]?key|pin-code)"
    r"|(?<![a-z])(?:pass|claim))(?:[_-](?!file|credential)[a-z0-9_-]{1,20})?"
)
_VALUE = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s,;\"'}\]]+"
NAMED = re.compile(rf"(?i)({_WORDS}[\"']?\s*[=:]\s*)({_VALUE})")
IN_URL = re.compile(r"(?<=://)[^/\s:@\"']*:[^/\s@\"']*(?=@)")
BEARER = re.compile(r"(?i)(\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}")
HASHED = re.compile(r"\$(?:1|2[aby]|5|6|7|y)\$[./A-Za-z0-9$=,]+")  # crypt(5)
PEM = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL)


@dataclass(slots=True)
class Secrets:
    """What is known to be secret, where it lies, and how often it was taken out."""

    values: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)  # their contents could not be looked for
    taken_out: int = 0

    def scrub(self, text: str) -> str:
        """Return a text without secrets."""
        text = self._sub(PEM, TAKEN_OUT, text)  # first: it needs its ends
        for value in sorted(self.values, key=len, reverse=True):  # a part of another one last
            self.taken_out += text.count(value)
            text = text.replace(value, TAKEN_OUT)
        text = self._sub(NAMED, rf"\1{TAKEN_OUT}", text)
        text = self._sub(BEARER, rf"\1{TAKEN_OUT}", text)
        text = self._sub(HASHED, TAKEN_OUT, text)
        return self._sub(IN_URL, TAKEN_OUT, text)

    def _sub(self, pattern: re.Pattern[str], by: str, text: str) -> str:
        text, count = pattern.subn(by, text)
        self.taken_out += count
        return text

    def know(self, value: str) -> None:
        """Look for this from now on, also as it stands in JSON and in addresses."""
        value = value.strip()
        if len(value) >= SHORTEST and value != TAKEN_OUT:
            self.values |= {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value)}


def gathered(site: Site) -> Secrets:
    """Return what is secret on a gateway or a card."""
    found = Secrets()
    for name, path in (*sorted(_files(site, WHOLE)), *_of_boot(site, WHOLE_OF_BOOT)):
        if (text := _text(path, name, found)) is not None:
            lines = text.strip().splitlines()
            for line in lines:
                if len(lines) == 1 or (len(line.strip()) >= LONG_LINE and not line.startswith("-----")):
                    found.know(line)
    for name, path in (*sorted(_files(site, PARTS)), *_of_boot(site, PARTS_OF_BOOT)):
        if (text := _text(path, name, found)) is not None:
            for _head, value in NAMED.findall(text):
                found.know(value.strip("\"'"))
            for value in HASHED.findall(text):
                found.know(value)
    return found


def _files(site: Site, patterns: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    seen = set()
    for pattern in patterns:
        for path in site.glob(pattern):
            if path.is_file() and path not in seen:
                seen.add(path)
                yield site.inside(path), path
    for path in _configured(site):
        if patterns is WHOLE and path.is_file() and path not in seen:
            seen.add(path)
            yield site.inside(path), path


def _of_boot(site: Site, patterns: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    boot = site.boot
    if boot is None:
        return
    for pattern in patterns:
        for path in sorted(boot.glob(pattern)):
            if path.is_file():
                yield str(path.relative_to(boot)), path


def _configured(site: Site) -> Iterator[Path]:
    """Yield the files of secrets that the configuration names."""
    for uplink in site.config.uplinks.values() if site.config else ():
        for file in (uplink.password_file, uplink.key_file):
            if file is not None:
                yield site.path(file)


def _text(path: Path, name: str, found: Secrets) -> str | None:
    found.files.append(name)
    try:
        with path.open("rb") as file:
            return file.read(LONGEST).decode("utf-8", "replace")
    except OSError as error:
        found.unread.append(_("{file}: {error}").format(file=name, error=error.strerror))
        return None
