"""What states and faults are called, and what to do about them, in the language of the technician.

The agent tells names such as `unplugged`; it runs in the machine's language, and whoever asks it may read another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.i18n import _, retold
from drivers.contract import N_

if TYPE_CHECKING:
    from drivers.seams import PortError

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
    "refused_publish": N_("the broker refuses what is sent; check its access rules and quotas"),
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


JOURNAL_ADVICE = {
    "young_end": N_("memory refuses what is new: it would not survive a crash; see `df /run`"),
    "card": N_("the card refuses what is new: it would not survive a power cut; check the card"),
    "reserve": N_("the card has too little room; free some, or lower 'reserve' under [journal]"),
    "damaged": N_("a part of what was kept is lost; the ledger says which numbers"),
}

# What the ports (drivers/ports) and the journal say of a trouble, and what the system says: marked here to be retold.
DETAILS = (
    N_("there is no such device; is it plugged in?"),
    N_("the device is gone"),
    N_("the line does not send: its output buffer is full"),
    N_("an earlier attempt to open it still hangs; replug the adapter"),
    N_("cannot be opened as a serial line: {error}"),
    N_("{holder} has it open"),
    N_("another process"),
    N_("another device of this gateway uses it"),
    N_("user {user} may not enter the folder it is in"),
    N_("it belongs to group {group}, and user {user} is not in that group; sudo usermod -aG {group} {user}"),
    N_("user {user} has the permission, but a sandbox forbids it; see DeviceAllow= of the service"),
    N_("its mode {mode} (group {group}) does not let user {user} in; a udev rule can"),
    N_("GPIOZERO_PIN_FACTORY={name} names no pin factory that is installed"),
    N_("gpiozero's pin factory does not work: {error}"),
    N_("{error}; sudo apt install python3-lgpio, and let the venv see it (--system-site-packages)"),
    N_("lgpio must be able to write to the working folder; see WorkingDirectory= of the service"),
    N_("this machine has no {devices}/gpiochip*: is it a Raspberry Pi? ({error})"),
    N_("full: the room that was taken ahead of need is in use"),
    N_("a call has not returned for {time} s"),
    N_("{text}: the oldest readings are given up"),
    N_("{names}: removed while the agent ran"),
    N_("[Errno {number}] {error}: '{path}'"),
    N_("[Errno {number}] {error}"),
    N_("No space left on device"),
    N_("Read-only file system"),
    N_("Input/output error"),
    N_("Permission denied"),
    N_("No such file or directory"),
    N_("No module named {name}"),
    N_("No such device or address"),
    N_("No such device"),
    N_("File exists"),
    N_("File too large"),
    N_("Too many levels of symbolic links"),
    N_("Connection refused"),
    N_("Network is unreachable"),
)

# SenML's units (RFC 8428, section 12.1, and RFC 8798) where people write others; what is left out says nothing.
UNITS = {
    "/": "",
    "count": "",
    "Cel": "°C",
    "ug/m3": "µg/m³",
    "1/cm3": "1/cm³",
    "1/cm2": "1/cm²",
    "1/cm2/h": "1/(cm² h)",
}
UNITS |= {"W/m2": "W/m²", "um": "µm", "deg": "°", "lat": "°", "lon": "°", "%RH": "%"}


def unit(senml: str) -> str:
    """Return a unit as people write it."""
    return UNITS.get(senml, senml)


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
        return f"{word(device['state'])} {retold(trouble.get('detail', ''))}".strip()
    text = _(advice).format(port=trouble.get("port", ""))
    return _with_detail(text, trouble.get("detail", ""))


def of_uplink(uplink: dict[str, Any]) -> str:
    """Return what is wrong with an uplink of the status document, and what to do."""
    return _with_detail(_(UPLINK_ADVICE.get(uplink["fault"], uplink["fault"])), uplink["message"])


def of_journal(fault: str, message: str) -> str:
    """Return what is wrong with the journal, and what to do."""
    return _with_detail(_(JOURNAL_ADVICE.get(fault, fault)), message)


def of_port(error: PortError) -> str:
    """Return why a port cannot be used, and what to do."""
    return _with_detail(
        _(DEVICE_ADVICE.get(error.fault.value, error.fault.value)).format(port=error.path), error.detail
    )


def of_papers(uplink: dict[str, Any]) -> list[str]:
    """Return what is wrong with the certificates of an uplink of the status document, and with their renewal."""
    certificates = uplink.get("certificates", {}).items()
    known = [(CERTIFICATES.get((whose, one["state"])), one["days"]) for whose, one in certificates]
    found = [_(text).format(days=days) for text, days in known if text is not None]
    if renewal := uplink.get("renewal"):
        found.append(_("the renewed certificate or password is not used yet: {why}").format(why=retold(renewal)))
    return found


def of_first_broker(first: dict[str, Any]) -> str:
    """Return why the second broker of an uplink is in use, and how far the way back is."""
    text = _("the backup broker is in use, because of the first: {why}").format(why=retold(first["message"]))
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
    return f"{text} ({retold(detail)})" if detail else text
