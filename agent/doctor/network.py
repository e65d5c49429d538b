"""The way to each broker, step by step: name, route, TCP, TLS, login, publish.

What follows a step that fails is not tried. A date is no reason to blame a certificate while the clock is not known to
be right. Nobody is thrown off the broker: where the running agent is online, its own word is taken for the login; else
the doctor logs in as it would.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.commanding.answer import Answer, Outcome
from agent.commands.wording import UPLINK_ADVICE
from agent.doctor.finding import Check, Command, Verdict, error, fine, unknown, warning
from agent.i18n import _
from agent.uplink import credentials, dial, faults
from agent.uplink.broker import Holder, LinkError, LinkFault, RefusedError
from agent.uplink.credentials import Files
from agent.uplink.mqtt import MqttBroker
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.config.model import Uplink
    from agent.doctor.finding import Finding
    from agent.doctor.site import Site

WITHIN = 8.0  # seconds for each step
SLOW = 5.0  # seconds for an acknowledgement: half of what the agent waits before it begins anew
CREDENTIALS = "/etc/roadside/credentials"
PREFIX = "roadside_"  # of what LoadCredential= makes of a file there
JSON = "application/json"
TRIAL = Answer("doctor", Outcome.DONE).json()  # an answer to nobody: docs/wire.md
RENEW = N_("whoever runs the broker must renew it")
CLOCK_FIRST = N_("mend the clock first: as long as it is not right, no date of a certificate says anything")
DATED = frozenset({faults.NOT_YET_VALID, faults.HAS_EXPIRED})

NAME = Check("network.name", N_("without the broker's address nothing goes up"), lambda _site: ())
ROUTE = Check("network.route", N_("without a way to the broker nothing goes up"), lambda _site: ())
TCP = Check("network.tcp", N_("the broker must be reached at its port"), lambda _site: ())
TLS = Check("network.tls", N_("nothing is sent to a broker that cannot prove who it is"), lambda _site: ())
LOGIN = Check("network.login", N_("the broker must know this gateway"), lambda _site: ())
PUBLISH = Check("network.publish", N_("a broker that refuses what is sent keeps nothing of it"), lambda _site: ())
STEPS = (NAME, ROUTE, TCP, TLS, LOGIN, PUBLISH)
ADDRESSES = Command(("ip", "address"), root=False)
ROUTES = Command(("ip", "route"), root=False)


class Stop(Exception):  # noqa: N818 - it ends the way, and its verdict may be a fine one
    """A step after which there is nothing to try."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.what)
        self.verdict = verdict


def findings(site: Site, *, clock_is_wrong: bool) -> Iterator[Finding]:
    """Try the way of each uplink to each of its brokers."""
    if site.config is None:
        yield NAME.finding(unknown(_("which brokers are wanted is not known")))
        return
    for name, uplink in site.config.uplinks.items():
        for broker in uplink.brokers:
            way = Way(site, name, broker, clock_is_wrong=clock_is_wrong)
            yield from asyncio.run(way.go())


class Way:
    """The way of one uplink to one broker."""

    def __init__(self, site: Site, name: str, uplink: Uplink, *, clock_is_wrong: bool) -> None:
        self._site = site
        self._uplink = uplink
        self._where = f"{name}: {uplink.host}:{uplink.port}"
        self._clock_is_wrong = clock_is_wrong
        self._status = site.status.get("uplinks", {}).get(name, {})
        self._files = files(site, uplink)

    async def go(self) -> list[Finding]:
        """Return what was found on the way, until the step that failed."""
        found = []
        steps = (self._name, self._route, self._tcp, self._tls, self._login)
        for check, step in zip(STEPS, steps, strict=False):
            try:
                verdicts = await step()
            except Stop as stop:
                found.append(check.finding(self._placed(stop.verdict)))
                break
            found += [check.finding(self._placed(one)) for one in verdicts]
        else:
            found += [PUBLISH.finding(self._placed(one)) for one in self._published]
        return found

    def _placed(self, verdict: Verdict) -> Verdict:
        return verdict._replace(what=f"{self._where}: {verdict.what}")

    async def _name(self) -> list[Verdict]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WITHIN):
                found = await loop.getaddrinfo(self._uplink.host, self._uplink.port)
        except (OSError, UnicodeError):
            resolve = Command(("resolvectl", "query", self._uplink.host), root=False)
            text = _("its name is not found")
            raise Stop(error(text, resolve, ADDRESSES, advice=_("check the network and the url"))) from None
        return [fine(_("its address is {address}").format(address=found[0][4][0]))]

    async def _route(self) -> list[Verdict]:
        """Have the kernel choose a way: connecting a UDP socket sends nothing."""
        try:
            transport, _protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=(self._uplink.host, self._uplink.port)
            )
        except OSError as problem:
            text = _("there is no way to it: {why}").format(why=problem.strerror or problem)
            advice = _("check the cable, the Wi-Fi or the modem")
            raise Stop(error(text, ROUTES, ADDRESSES, advice=advice)) from None
        source = transport.get_extra_info("sockname")[0]
        transport.close()
        return [fine(_("reached from {address}").format(address=source))]

    async def _tcp(self) -> list[Verdict]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            (await dial.dial(self._uplink.host, self._uplink.port, within=WITHIN)).close()
        except OSError as problem:
            raise Stop(_explained(faults.of_dialling(problem, self._where, encrypted=False))) from None
        return [fine(_("answers within {time:.0f} ms").format(time=(loop.time() - begun) * 1000))]

    async def _tls(self) -> list[Verdict]:
        if not self._uplink.tls:
            return [fine(_("not encrypted: the url says so"))]
        try:
            secrets = credentials.read(self._files, encrypted=True)
        except LinkError as problem:
            raise Stop(self._unread(problem)) from None
        try:
            sock = await dial.dial(self._uplink.host, self._uplink.port, within=WITHIN, tls=secrets.tls)
        except OSError as problem:
            if self._clock_is_wrong and getattr(problem, "verify_code", None) in DATED:
                text = _("the clock is wrong, so it cannot be told whether the broker's certificate is valid")
                raise Stop(error(text, advice=_(CLOCK_FIRST))) from None
            if getattr(problem, "verify_code", None) == faults.NOT_YET_VALID:
                text = _("its certificate is not yet valid, and the clock here is right")
                raise Stop(error(text, advice=_(RENEW))) from None
            raise Stop(_explained(faults.of_dialling(problem, self._where, encrypted=True))) from None
        sock.close()
        return [fine(_("its certificate leads to an authority that we trust, and is valid"))]

    async def _login(self) -> list[Verdict]:
        self._published: list[Verdict] = []
        if self._status.get("state") == "online":
            text = _("the agent is logged in there, and {count} messages were acknowledged")
            if self._status["broker"].endswith(f"{self._uplink.host}:{self._uplink.port}"):
                self._published = [self._of_agent()]
                return [fine(text.format(count=self._status["acked"]))]
            raise Stop(
                unknown(_("the agent is logged in at another broker now: {url}").format(url=self._status["broker"]))
            )
        if self._site.may_be_online:
            raise Stop(unknown(_("the agent may be logged in there, and would be thrown off; look again with sudo")))
        quiet = replace(self._uplink, commands=False, backup_url=None)
        try:
            async with MqttBroker(quiet, files=self._files, within=WITHIN).connect(None) as link:
                verdicts = [fine(_("lets us in"))]
                verdicts += self._dates(link.papers.certificates)
                loop = asyncio.get_running_loop()
                begun = loop.time()
                try:
                    async with asyncio.timeout(WITHIN):
                        await link.publish(self._topic, TRIAL, retain=False, properties={}, content_type=JSON)
                except RefusedError as refusal:
                    text = _("refuses what is sent to {topic}: {why}").format(topic=self._topic, why=refusal)
                    self._published = [
                        error(text, advice=_("allow it in the broker's access rules: docs/mosquitto.acl"))
                    ]
                except TimeoutError:
                    self._published = [
                        error(_("does not acknowledge what is sent"), advice=_(UPLINK_ADVICE["unacked"]))
                    ]
                else:
                    self._published = [_round_trip(loop.time() - begun)]
                await link.goodbye()
        except LinkError as problem:
            raise Stop(self._unread(problem)) from None
        return verdicts

    @property
    def _topic(self) -> str:
        """Where answers to commands go: gateways may write there, and whoever gave no command is not disturbed."""
        gateway = self._site.config.gateway.id if self._site.config else ""
        return f"{self._uplink.prefix}/roadside/v1/{gateway}/did".removeprefix("/")

    def _of_agent(self) -> Verdict:
        refused = self._status.get("refused", {})
        if refused:
            text = _("has refused messages of the agent: {reasons}").format(reasons=", ".join(refused))
            return error(text, advice=_("allow it in the broker's access rules: docs/mosquitto.acl"))
        return fine(_("acknowledges what the agent sends"))

    def _dates(self, certificates: object) -> list[Verdict]:
        found = []
        now = self._site.clock.utc() / 1e9
        for holder, dates in certificates.items() if isinstance(certificates, dict) else ():
            days = int((dates.ends - now) // 86_400)
            if dates.ends_soon(now) and not self._clock_is_wrong:
                text = _("our certificate ends in {days} days") if holder is Holder.GATEWAY else None
                text = text or _("the broker's certificate ends in {days} days")
                found.append(warning(text.format(days=days), advice=_(RENEW)))
        return found

    def _unread(self, problem: LinkError) -> Verdict:
        """Say why not; a secret that only root may read is no fault."""
        given = (self._files.password, self._files.certificate, self._files.key)
        if problem.fault in {LinkFault.SECRET, LinkFault.CERTIFICATE} and not all(map(_readable, filter(None, given))):
            return unknown(_("{why}; look again with sudo").format(why=problem))
        return _explained(problem)


def files(site: Site, uplink: Uplink) -> Files:
    """Return where the secrets of an uplink are: systemd's credentials are taken from where systemd takes them."""

    def one(file: str | None, credential: str | None) -> Path | None:
        if file is not None:
            return site.path(file)
        return site.path(f"{CREDENTIALS}/{credential.removeprefix(PREFIX)}") if credential is not None else None

    return Files(
        password=one(uplink.password_file, uplink.password_credential),
        authority=one(uplink.ca_file, None),
        certificate=one(uplink.certificate_file, uplink.certificate_credential),
        key=one(uplink.key_file, uplink.key_credential),
    )


def _readable(path: Path) -> bool:
    try:
        path.open("rb").close()
    except PermissionError:
        return False
    except OSError:
        return True  # that is another trouble, and a real one
    return True


def _explained(problem: LinkError) -> Verdict:
    return error(str(problem), advice=_(UPLINK_ADVICE[problem.fault.value]))


def _round_trip(seconds: float) -> Verdict:
    what = _("acknowledges a message within {time:.0f} ms").format(time=seconds * 1000)
    return (
        warning(what, advice=_("the link is slow: see link_latency of the driver 'link'"))
        if seconds > SLOW
        else fine(what)
    )
