"""The configuration in memory: frozen, complete and checked; durations are seconds, sizes are bytes.

Each field's limits and help stand beside it and serve the reader, the JSON Schema and `roadside schema` alike. What one
object can tell about itself is checked here; what needs a second one is checked in agent/config/cross.py.
"""

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from agent.i18n import _
from drivers.contract import N_, Driver, Help, Interval, SerialLine

MIB = 1 << 20
PUBLIC_KEY_SIZE = 32  # bytes of Ed25519: RFC 8032, section 5.1.5
RESERVED_ALARMS = ("silent", "stuck")  # raised by the agent itself for any device
BROKER_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
WEB_PATH = "/mqtt"  # where brokers take MQTT over WebSocket unless the url says so


class Len(NamedTuple):
    """How long a text or list is at least."""

    least: int


class WrongError(ValueError):
    """One object contradicts itself; `key` is the one to look at."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A text for people, in both languages."""

    en: Annotated[str, Len(1), Help(N_("The text in English"))]
    th: Annotated[str, Len(1), Help(N_("The text in Thai"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The gateway itself and where it stands."""

    id: Annotated[str, Help(N_("Unique id of this gateway: lower-case letters, digits and hyphens"))]
    label: Annotated[Labels | None, Help(N_("Name of the place, for people"))] = None
    latitude: Annotated[float | None, Interval(ge=-90, le=90), Help(N_("North of the equator"), "deg")] = None
    longitude: Annotated[float | None, Interval(ge=-180, le=180), Help(N_("East of Greenwich"), "deg")] = None

    def __post_init__(self) -> None:
        if (self.latitude is None) != (self.longitude is None):
            given, absent = ("latitude", "longitude") if self.longitude is None else ("longitude", "latitude")
            raise WrongError(given, _("needs '{key}' beside it").format(key=absent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """One way up: a broker and how to speak with it. Secrets stand in files; only their names are here."""

    id: str
    url: Annotated[
        str, Help(N_("The broker: mqtts://host:port with TLS, mqtt://host:port without, or wss://host/path"))
    ]
    prefix: Annotated[str, Help(N_("Put before every topic, without a slash at either end"))] = ""
    client_id: Annotated[str, Help(N_("MQTT client id; the gateway's id unless given"))] = ""
    username: Annotated[str | None, Help(N_("User name at the broker"))] = None
    password_file: Annotated[str | None, Help(N_("File that holds the password"))] = None
    password_credential: Annotated[str | None, Help(N_("Systemd credential that holds the password"))] = None
    ca_file: Annotated[str | None, Help(N_("Certificates (PEM) that the broker's own must lead to"))] = None
    certificate_file: Annotated[str | None, Help(N_("Our own certificate (PEM), which the broker knows us by"))] = None
    certificate_credential: Annotated[str | None, Help(N_("Systemd credential that holds our certificate"))] = None
    key_file: Annotated[str | None, Help(N_("Private key (PEM, not encrypted) of our certificate"))] = None
    key_credential: Annotated[str | None, Help(N_("Systemd credential that holds the private key"))] = None
    protocol: Annotated[
        Literal["5", "3.1.1"], Help(N_("MQTT version; 3.1.1 cannot tell when the broker refuses a message"))
    ] = "5"
    compression: Annotated[Literal["deflate", "none"], Help(N_("How packs are sent"))] = "deflate"
    window: Annotated[int, Interval(ge=2, le=1000), Help(N_("Most messages on the way at once"))] = 20
    keepalive: Annotated[float, Interval(ge=5, le=3600), Help(N_("Longest silence towards the broker"), "s")] = 30.0
    ack_within: Annotated[float, Interval(ge=1, le=600), Help(N_("Longest wait for an acknowledgement"), "s")] = 10.0
    live_within: Annotated[float, Interval(ge=1, le=3600), Help(N_("Older readings go up as history"), "s")] = 30.0
    quota: Annotated[
        int | None, Interval(ge=4 * MIB), Help(N_("Most room on the card for what waits for it"), "bytes")
    ] = None
    backup_url: Annotated[str | None, Help(N_("Another broker of the same receiver, for when the first is away"))] = (
        None
    )
    failover_after: Annotated[
        float, Interval(ge=1, le=86_400), Help(N_("A broker that held no connection for so long is left"), "s")
    ] = 60.0
    failback_after: Annotated[
        float, Interval(ge=1, le=86_400), Help(N_("The first broker is taken again when it held one for so long"), "s")
    ] = 600.0
    daily_budget: Annotated[
        int | None, Interval(ge=MIB), Help(N_("Most that may pass on a metered link in any 24 hours"), "bytes")
    ] = None
    alarm_reserve: Annotated[int, Interval(ge=0), Help(N_("Part of daily_budget that is kept for alarms"), "bytes")] = (
        MIB // 2
    )
    devices: Annotated[tuple[str, ...] | None, Len(1), Help(N_("Only these devices go up; all unless given"))] = None
    quantities: Annotated[tuple[str, ...] | None, Len(1), Help(N_("Only these quantities; all unless given"))] = None
    alarms: Annotated[bool, Help(N_("Whether alarms go up, too"))] = True
    commands: Annotated[bool, Help(N_("Whether commands are taken from this broker"))] = False
    answers: Annotated[
        str, Help(N_("Commands may be answered on topics below this, too, besides the gateway's own"))
    ] = ""

    def __post_init__(self) -> None:
        self._check_url()
        self._check_backup()
        self._check_prefix()
        for secret in ("password", "certificate", "key"):
            self._check_secret(secret)
        if self.username is None and (self.password_file is not None or self.password_credential is not None):
            raise WrongError("username", _("is missing: a password needs a user name"))
        for key in ("password_file", "ca_file", "certificate_file", "key_file"):
            path = getattr(self, key)
            if path is not None and not path.startswith("/"):
                raise WrongError(
                    key, _("must be the whole path of a file, such as /etc/roadside/{key}").format(key=key)
                )
        self._check_certificates()
        if self.daily_budget is not None and self.alarm_reserve >= self.daily_budget:
            raise WrongError("alarm_reserve", _("must be less than daily_budget: the rest is for everything else"))

    def _check_prefix(self) -> None:
        for key, topic in (("prefix", self.prefix), ("answers", self.answers)):
            if topic.startswith("/") or topic.endswith("/"):
                raise WrongError(key, _("has no slash at either end"))
            if topic.startswith("$"):
                raise WrongError(key, _("cannot start with '$': those topics are the broker's own"))
            if not set(topic).isdisjoint("+#\0"):
                raise WrongError(key, _("cannot contain '+' or '#'"))

    def _check_secret(self, secret: str) -> None:
        file, credential = f"{secret}_file", f"{secret}_credential"
        name = getattr(self, credential)
        if getattr(self, file) is not None and name is not None:
            raise WrongError(
                file, _("use either {file} or {credential}, not both").format(file=file, credential=credential)
            )
        if name is not None and not _is_plain_name(name):
            raise WrongError(credential, _("must be the name of a credential, not a path"))

    def _check_certificates(self) -> None:
        given = {
            key: key.partition("_")[0]
            for key in ("ca_file", "certificate_file", "certificate_credential", "key_file", "key_credential")
            if getattr(self, key) is not None
        }
        if given and not self.tls:
            raise WrongError(next(iter(given)), _("is of use with mqtts:// or wss:// alone; the url says otherwise"))
        for one, other in (("certificate", "key"), ("key", "certificate")):
            if one in given.values() and other not in given.values():
                raise WrongError(f"{other}_file", _("is missing: a certificate and its key belong together"))

    def _check_url(self) -> None:
        # Never shows the address: whoever writes one with a password in it must not find that in a log.
        wanted = _(
            "must be an address such as mqtts://broker.example:8883, mqtt://broker.example or wss://broker.example/mqtt"
        )
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise WrongError("url", wanted) from None
        if parts.scheme not in BROKER_PORTS or not parts.hostname or port == 0 or not self.url.isprintable():
            raise WrongError("url", wanted)
        if "@" in parts.netloc:
            raise WrongError(
                "url", _("cannot hold a user name or password: use username and password_file or password_credential")
            )
        if not _is_host(parts.hostname):
            raise WrongError("url", _("the host in it is no name: it has a space, an empty part or a letter too odd"))
        if parts.query or parts.fragment or not parts.path.isascii() or (parts.path.strip("/") and not self.path):
            raise WrongError("url", wanted)

    def _check_backup(self) -> None:
        if self.backup_url == self.url:
            raise WrongError("backup_url", _("is the same broker as 'url'"))
        if self.backup_url is not None:
            try:
                backup = replace(self, url=self.backup_url, backup_url=None)
            except WrongError as error:
                raise WrongError("backup_url" if error.key == "url" else error.key, str(error)) from None
            if backup.tls != self.tls:
                raise WrongError("backup_url", _("must be encrypted if 'url' is, and only then"))

    @property
    def brokers(self) -> "tuple[Uplink, ...]":
        """The same uplink by way of each of its brokers, the first one first."""
        if self.backup_url is None:
            return (self,)
        return replace(self, backup_url=None), replace(self, url=self.backup_url, backup_url=None)

    @property
    def filtered(self) -> bool:
        """Whether its receiver is not given everything."""
        return self.devices is not None or self.quantities is not None or not self.alarms

    @property
    def host(self) -> str:
        """The broker's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The broker's TCP port."""
        parts = urlsplit(self.url)
        return parts.port or BROKER_PORTS[parts.scheme]

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme in {"mqtts", "wss"}

    @property
    def path(self) -> str | None:
        """Where the broker takes WebSockets; None for plain MQTT."""
        parts = urlsplit(self.url)
        return (parts.path or WEB_PATH) if parts.scheme in {"ws", "wss"} else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Where readings wait until they are acknowledged."""

    folder: Annotated[str, Help(N_("Folder on the card"))] = "/var/lib/roadside/journal"
    commit_interval: Annotated[
        float, Interval(ge=0.1, le=3600), Help(N_("What a power cut may cost: telemetry younger than this"), "s")
    ] = 10.0
    limit: Annotated[int, Interval(ge=MIB), Help(N_("Most room the journal takes"), "bytes")] = 256 * MIB
    reserve: Annotated[int, Interval(ge=0), Help(N_("Room on its disk that the journal leaves to others"), "bytes")] = (
        64 * MIB
    )
    young_limit: Annotated[
        int, Interval(ge=MIB // 16), Help(N_("Most memory for what is not yet on the card"), "bytes")
    ] = 16 * MIB
    pack_within: Annotated[
        float, Interval(ge=0, le=60), Help(N_("Readings are gathered for so long before they go up"), "s")
    ] = 1.0
    pack_size: Annotated[int, Interval(ge=1, le=10_000), Help(N_("Most readings in one message"))] = 100
    hold_undated: Annotated[
        float, Interval(ge=0, le=86_400), Help(N_("Telemetry waits so long for the right time of day"), "s")
    ] = 600.0

    def __post_init__(self) -> None:
        if not self.folder.startswith("/"):
            raise WrongError("folder", _("must be the whole path of a folder, such as /var/lib/roadside/journal"))
        if self.young_limit > self.limit:
            raise WrongError("young_limit", _("cannot be larger than 'limit'"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Where the time of day may come from besides the wall clock."""

    gnss: Annotated[
        Literal["witness", "source"],
        Help(N_("A GNSS receiver only checks the clock, or dates readings where no time server is heard")),
    ] = "witness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Whom commands are taken from, besides what the broker's access rules say."""

    require_signature: Annotated[bool, Help(N_("Whatever changes something must be signed"))] = False
    keys: Annotated[
        Mapping[str, str], Help(N_("Ed25519 public keys by name, 32 bytes in base64, whose signatures are trusted"))
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in self.keys.values():
            if not _is_public_key(key):
                raise WrongError("keys", _("a public key is 32 bytes, written in base64: 43 letters and a '='"))
        if self.require_signature and not self.keys:
            raise WrongError("require_signature", _("needs 'keys': without one nobody could sign"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A serial port."""

    path: Annotated[str, Help(N_("The port, best by /dev/serial/by-id"))]
    line: Annotated[SerialLine | None, Help(N_("Line settings such as '9600 8N1'; the driver's own unless given"))] = (
        None
    )

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise WrongError("path", _("must be the whole path of a port, such as /dev/ttyAMA0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is done with the values of one quantity: calibrated (value x scale + offset), checked, thinned."""

    offset: Annotated[float, Help(N_("Added to each value, after 'scale'"))] = 0.0
    scale: Annotated[float, Help(N_("Each value is multiplied by this"))] = 1.0
    plausible: Annotated[
        tuple[float, float] | None, Help(N_("Lowest and highest value that can be; others are marked"))
    ] = None
    stuck_after: Annotated[
        float | None, Interval(gt=0), Help(N_("A value that stays the same so long is a fault"), "s")
    ] = None
    deadband: Annotated[float | None, Interval(ge=0), Help(N_("Smaller changes are not sent"))] = None
    heartbeat: Annotated[float, Interval(gt=0), Help(N_("With 'deadband': a value goes up at least so often"), "s")] = (
        300.0
    )
    window: Annotated[
        float | None, Interval(gt=0), Help(N_("Mean, lowest and highest over this time are sent"), "s")
    ] = None

    def __post_init__(self) -> None:
        if self.scale == 0:
            raise WrongError("scale", _("cannot be 0: every value would be the same"))
        if self.plausible is not None and self.plausible[0] >= self.plausible[1]:
            raise WrongError("plausible", _("must be the lowest and then the highest value"))
        if self.window is not None and self.deadband is not None:
            raise WrongError("window", _("use either window or deadband, not both"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRule:
    """When an alarm is raised and cleared: exactly one of `above`, `below` and `equals`."""

    name: Annotated[str, Help(N_("Name of the alarm, such as 'flood'"))]
    quantity: Annotated[str, Help(N_("The quantity that is watched"))]
    above: Annotated[float | None, Help(N_("Raised when the value is higher"))] = None
    below: Annotated[float | None, Help(N_("Raised when the value is lower"))] = None
    equals: Annotated[bool | None, Help(N_("Raised when the state is this"))] = None
    clear: Annotated[float | None, Help(N_("Cleared at this value; the limit itself unless given"))] = None
    hold: Annotated[float, Interval(ge=0, le=86_400), Help(N_("Raised only after so long beyond the limit"), "s")] = 0.0

    def __post_init__(self) -> None:
        given = [key for key in ("above", "below", "equals") if getattr(self, key) is not None]
        if not given:
            raise WrongError("", _("needs one of 'above', 'below' and 'equals'"))
        if len(given) > 1:
            raise WrongError(given[1], _("cannot stand beside '{key}': an alarm has one limit").format(key=given[0]))
        if self.clear is None:
            return
        if self.equals is not None:
            raise WrongError("clear", _("has no meaning beside 'equals'"))
        if self.above is not None and self.clear > self.above:
            raise WrongError(
                "clear", _("must be {limit} or lower, on the safe side of 'above'").format(limit=self.above)
            )
        if self.below is not None and self.clear < self.below:
            raise WrongError(
                "clear", _("must be {limit} or higher, on the safe side of 'below'").format(limit=self.below)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One sensor or actuator: a driver with its settings, behind a port of its own or on a bus."""

    id: str
    driver: Driver
    settings: object  # an instance of driver.settings
    port: Port | None = None  # its own serial port
    bus: str | None = None  # the name of a shared one
    every: float | None = None  # seconds between polls; None for a driver that does not poll
    silent_after: float
    warm_up: float
    label: Labels | None = None
    rules: Mapping[str, Rules] = field(default_factory=dict)  # by quantity
    alarms: tuple[AlarmRule, ...] = ()
    sounds_for: tuple[str, ...] = ()  # of an output: the devices whose raised alarms switch it on


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration of a gateway."""

    gateway: Gateway
    uplinks: Mapping[str, Uplink]
    journal: Journal = field(default_factory=Journal)
    clock: Clock = field(default_factory=Clock)
    commands: Commands = field(default_factory=Commands)
    ports: Mapping[str, Port] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    profiles: Mapping[str, str] = field(default_factory=dict)  # texts of Modbus profiles that are files, by path


def _is_public_key(text: str) -> bool:
    try:
        return len(binascii.a2b_base64(text, strict_mode=True)) == PUBLIC_KEY_SIZE
    except ValueError:
        return False


def _is_plain_name(name: str) -> bool:
    return bool(name) and name.isprintable() and "/" not in name and name not in {".", ".."}


def _is_host(name: str) -> bool:
    """Return whether a name can be looked up (RFC 1123, letters of any script by IDNA), or is an IP address."""
    if ":" in name:
        return True  # an IPv6 address, which urlsplit has judged
    try:
        return re.fullmatch(rb"[A-Za-z0-9_.-]+", name.encode("idna")) is not None
    except UnicodeError:
        return False
