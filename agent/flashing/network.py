"""Connection profiles of NetworkManager that a card brings: Wi-Fi, a fixed address, a modem.

Both generations of Raspberry Pi OS have NetworkManager. It passes over in silence what lacks something, and asks for a
password that it was not given: on a gateway there is nobody to be asked. So that is found here.
Sources: nm-settings-keyfile(5), nm-settings-nmcli(5); raspi-config, do_wifi_country.
"""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

from agent.flashing.medium import FlashError
from agent.i18n import _
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FOLDER = "network/"
ENDING = ".nmconnection"
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
COUNTRY = re.compile(r"[A-Z]{2}")  # ISO 3166-1
RADIO, OLD = "wifi", "802-11-wireless"  # a section and a type may have either name
WITH_PASSWORD = ("wpa-psk", "sae")
NO_PROFILE = N_("it is no connection profile of NetworkManager: there is no type= in a section [connection]")
BY_HAND = N_("autoconnect=false: nobody is there to connect it")
OF_A_USER = N_("permissions=: it is for a user who is not on the gateway; take that line out")
KEPT_ELSEWHERE = N_("{key}=: the password is not in this file; take that line out and write the password")
NO_NAME = N_("there is no ssid= in a section [wifi]")
NO_PASSWORD = N_("there is no psk= in a section [wifi-security]")
OTHER_MACHINE = N_("interface-name={name}: the Wi-Fi of a Raspberry Pi is wlan0; take that line out")
NO_COUNTRY = N_("say with --country where its Wi-Fi is, such as TH or KR: without that Raspberry Pi OS keeps it off")


def profiles(paths: Sequence[Path], country: str) -> dict[str, bytes]:
    """Return what of these files goes on a card; raises FlashError for what would not connect, and OSError."""
    if country and not COUNTRY.fullmatch(country):
        raise FlashError(_("'{text}' is no country: two capital letters, such as TH or KR").format(text=country))
    files = {}
    for path in paths:
        data = path.read_bytes()
        name = FOLDER + path.name.removesuffix(ENDING) + ENDING
        reason = next(_objections(data, country), None)
        if reason is None and (not NAME.fullmatch(path.name.removesuffix(ENDING)) or name in files):
            reason = _("name it otherwise, with letters, digits, _ and - alone")
        if reason is not None:
            raise FlashError(f"{path}: {reason}")
        files[name] = data
    return files


def _objections(data: bytes, country: str) -> Iterator[str]:
    """Yield why a profile would not connect on a gateway."""
    file = configparser.ConfigParser(delimiters=("=",), comment_prefixes=("#",), interpolation=None)
    try:
        file.read_string(data.decode())
        kind = file["connection"]["type"]
    except (UnicodeDecodeError, configparser.Error, KeyError):
        yield _(NO_PROFILE)
        return
    if file["connection"].get("autoconnect") in {"false", "no", "0"}:
        yield _(BY_HAND)
    if file["connection"].get("permissions"):
        yield _(OF_A_USER)
    for section in file.values():
        for key in section:
            if key.endswith("-flags") and section[key] not in {"0", "4"}:  # in the file; not required
                yield _(KEPT_ELSEWHERE).format(key=key)
    if kind in {RADIO, OLD}:
        yield from _radio_objections(file, country)


def _radio_objections(file: configparser.ConfigParser, country: str) -> Iterator[str]:
    if not any(file.get(section, "ssid", fallback="") for section in (RADIO, OLD)):
        yield _(NO_NAME)
    for section in (f"{RADIO}-security", f"{OLD}-security"):
        has_password = file.get(section, "psk", fallback="")
        if file.get(section, "key-mgmt", fallback="") in WITH_PASSWORD and not has_password:
            yield _(NO_PASSWORD)
    interface = file["connection"].get("interface-name", "wlan0")
    if not interface.startswith("wlan"):
        yield _(OTHER_MACHINE).format(name=interface)
    if not country:
        yield _(NO_COUNTRY)
