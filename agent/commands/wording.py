"""What states and faults are called, and what to do about them, in the language of the technician.

The agent tells names such as `unplugged`; it runs in the machine's language, and whoever asks it may read another.
"""

from __future__ import annotations

from typing import Any

from agent.i18n import _
from drivers.contract import N_

WORDS = {
    "ok": N_("ok"),
    "waiting": N_("waiting"),
    "silent": N_("silent"),
    "stuck": N_("stuck"),
    "missing": N_("missing"),
    "not_permitted": N_("not permitted"),
    "taken": N_("taken"),
    "unplugged": N_("unplugged"),
    "failed": N_("failed"),
    "quarantined": N_("quarantined"),
    "online": N_("online"),
    "connecting": N_("connecting"),
    "stopped": N_("stopped"),
    "pressed": N_("pressed"),
    "no_echo": N_("no echo"),
    "no_fix": N_("no fix"),
    "no_reply": N_("no reply"),
    "warming_up": N_("warming up"),
    "out_of_range": N_("out of range"),
    "invalid": N_("invalid"),
}

DEVICE_ADVICE = {
    "silent": N_("nothing heard for too long; check the cable and the power of the sensor"),
    "missing": N_("{port} is not there; plug the adapter in, or correct the port in the configuration"),
    "unplugged": N_("{port} was unplugged; plug it in again"),
    "not_permitted": N_("{port} may not be opened by the agent's user"),
    "taken": N_("{port} is in use by another program; stop that one"),
    "failed": N_("{port} cannot be used"),
    "quarantined": N_("the driver failed and is tried again after a while; send the log to the workshop"),
}

UPLINK_ADVICE = {
    "unreachable": N_("the broker cannot be reached; check the network and the url"),
    "timed_out": N_("the broker does not answer; check the network, then the broker"),
    "tls": N_("the encrypted connection fails; check ca_file and the broker's certificate"),
    "clock_wrong": N_("the clock of this gateway is wrong; check its time service"),
    "certificate": N_("our certificate or its key is of no use here; check certificate_file and key_file"),
    "websocket": N_("the broker takes no WebSocket there; check the path in url"),
    "secret": N_("the password cannot be read; check password_file"),
    "refused_login": N_("the broker refuses the login; check username and password"),
    "refused_connect": N_("the broker refuses the connection"),
    "taken_over": N_("another client uses the same client_id; each gateway needs its own"),
    "closed": N_("the broker closed the connection"),
    "unacked": N_("the broker does not acknowledge what is sent"),
    "refused_publish": N_("the broker refuses what is sent; check its access rules"),
}

CERTIFICATES = {
    ("gateway", "certificate_expires"): N_("our certificate expires in {days} days; renew it"),
    ("gateway", "certificate_expired"): N_("our certificate has expired; renew it"),
    ("broker", "certificate_expires"): N_("the broker's certificate expires in {days} days; tell whoever runs it"),
    ("broker", "certificate_expired"): N_("the broker's certificate has expired; tell whoever runs it"),
}

CLOCK_ADVICE = {
    "before_floor": N_("the clock claims a day that this gateway has already lived through; check its time service"),
    "jumped": N_("the clock jumped although it claims to be right; check its time service"),
    "gnss_disagrees": N_("the GNSS receiver says another time than the clock; check both"),
    "gnss_rollover": N_("the GNSS receiver is off by a multiple of 1024 weeks; it needs newer firmware"),
    "gnss_implausible": N_("the GNSS receiver says a time that cannot be; check the receiver"),
}


def word(state: str) -> str:
    """Return what a state or reason is called."""
    return _(WORDS[state]) if state in WORDS else state


def of_clock(fault: str) -> str:
    """Return why the time of day is not believed, and what to do."""
    return _(CLOCK_ADVICE[fault]) if fault in CLOCK_ADVICE else fault


def of_device(device: dict[str, Any]) -> str:
    """Return what is wrong with a device of the status document, and what to do."""
    trouble = device.get("trouble", {})
    advice = DEVICE_ADVICE.get(device["state"])
    if advice is None:
        return f"{word(device['state'])} {trouble.get('detail', '')}".strip()
    text = _(advice).format(port=trouble.get("port", ""))
    return _with_detail(text, trouble.get("detail", ""))


def of_uplink(uplink: dict[str, Any]) -> str:
    """Return what is wrong with an uplink of the status document, and what to do."""
    return _with_detail(_(UPLINK_ADVICE.get(uplink["fault"], uplink["fault"])), uplink["message"])


def of_papers(uplink: dict[str, Any]) -> list[str]:
    """Return what is wrong with the certificates of an uplink of the status document, and with their renewal."""
    certificates = uplink.get("certificates", {}).items()
    known = [(CERTIFICATES.get((whose, one["state"])), one["days"]) for whose, one in certificates]
    found = [_(text).format(days=days) for text, days in known if text is not None]
    if renewal := uplink.get("renewal"):
        found.append(_("the renewed certificate or password is not used yet: {why}").format(why=renewal))
    return found


def of_first_broker(first: dict[str, Any]) -> str:
    """Return why the second broker of an uplink is in use, and how far the way back is."""
    text = _("the backup broker is in use, because of the first: {why}").format(why=first["message"])
    if first["steady_for"] is None:
        return text
    steady = _("the first has held a connection again for {time}").format(time=duration(first["steady_for"]))
    return f"{text}; {steady}"


def duration(seconds: float) -> str:
    """Return a duration in the one unit that fits."""
    for limit, divisor, text in (
        (120, 1, _("{n} s")),
        (7200, 60, _("{n} min")),
        (172_800, 3600, _("{n} h")),
    ):
        if seconds < limit:
            return text.format(n=round(seconds / divisor))
    return _("{n} days").format(n=round(seconds / 86_400))


def _with_detail(text: str, detail: str) -> str:
    """Add what the agent itself said, which names processes, groups and addresses."""
    return f"{text} ({detail})" if detail else text
