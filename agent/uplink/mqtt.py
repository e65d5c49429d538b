"""The way to a broker: opened with the secrets as they are now, logged in, and made anew when those change."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, NamedTuple

import aiomqtt

from agent.uplink import credentials, dial, faults, tls, x509
from agent.uplink.broker import Holder, LinkError, Papers
from agent.uplink.client import Client
from agent.uplink.credentials import Files
from agent.uplink.link import MqttLink

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from agent.config.model import Uplink
    from agent.uplink.broker import Link, Will
    from agent.uplink.credentials import Secrets
    from agent.uplink.websocket import WebSocket
    from agent.uplink.x509 import Validity

CONNECT_WITHIN = 8.0  # seconds for the network, and again for the login: TLS over a poor mobile link takes its time
LOOK_EVERY = 60.0  # seconds between looks at the files with secrets and certificates
FRESH = 20.0  # seconds: brokers close a connection over which nobody logs in
SETTLE = 2.0  # seconds within which a broker refuses a certificate that it does not like


class _Line(NamedTuple):
    """An open connection over which nobody has logged in yet."""

    sock: socket.socket | WebSocket
    secrets: Secrets
    mark: bytes  # of the files that those came from
    below: socket.socket  # what a WebSocket stands on; otherwise the same socket
    opened: float  # by the loop's clock


class MqttBroker:
    """Implements `agent.uplink.broker.Broker` for one configured uplink."""

    def __init__(
        self,
        uplink: Uplink,
        *,
        files: Files | None = None,
        within: float = CONNECT_WITHIN,
        look_every: float = LOOK_EVERY,
    ) -> None:
        """Take the configuration, where the secrets are, and how often to look whether those were renewed."""
        self._uplink = uplink
        self._files = files or Files()
        self._within = within
        self._look_every = look_every
        self._where = f"{uplink.host}:{uplink.port}"
        self._ahead: _Line | None = None  # opened with renewed secrets, for the next link

    @asynccontextmanager
    async def connect(self, will: Will | None) -> AsyncIterator[Link]:
        """Open a link; raises LinkError. Secrets and certificates are read each time: new ones need no restart."""
        line = self._take_ahead() or await self._open()
        try:
            with closing(line.sock):
                client = Client(self._uplink, line.secrets.password, will, line.sock)
                try:
                    await self._login(client, line)
                    link = MqttLink(client, self._uplink, self._where, line.below)
                    link.papers.certificates |= _certificates(line)
                    watching = asyncio.create_task(self._watch(link.papers, line.mark))
                    try:
                        yield link
                    finally:
                        watching.cancel()
                        await asyncio.wait({watching})
                finally:
                    await client.drop()
        except BaseException:  # whoever leaves in order comes back for it
            self._forget_ahead()
            raise

    def _take_ahead(self) -> _Line | None:
        ahead = self._ahead
        if ahead is None or asyncio.get_running_loop().time() - ahead.opened > FRESH:
            self._forget_ahead()
            return None
        self._ahead = None
        return ahead

    def _forget_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.sock.close()
            self._ahead = None

    async def _login(self, client: Client, line: _Line) -> None:
        try:
            async with asyncio.timeout(self._within):
                await client.login()
        except (aiomqtt.MqttError, TimeoutError) as error:
            if isinstance(line.below, tls.Socket) and line.below.alert is not None:
                raise faults.of_alert(line.below.alert, self._where) from error
            raise faults.of_login(error, self._where) from error

    async def _open(self, *, settle: float | None = None) -> _Line:
        """Connect as far as the login; with `settle` wait so long for a broker that refuses our certificate."""
        mark, secrets = await asyncio.get_running_loop().run_in_executor(None, self._read_files)
        host, port, within = self._uplink.host, self._uplink.port, self._within
        sock: socket.socket | WebSocket
        try:
            sock = below = await dial.dial(host, port, within=within, tls=secrets.tls)
            with ExitStack() as on_failure:
                on_failure.callback(below.close)
                if self._uplink.path is not None:
                    sock = await dial.upgrade(below, host, port, self._uplink.path, within=within)
                if settle is not None:
                    await dial.settle(sock, settle)
                on_failure.pop_all()
        except OSError as error:
            raise faults.of_dialling(error, self._where, encrypted=self._uplink.tls) from error
        return _Line(sock, secrets, mark, below, asyncio.get_running_loop().time())

    def _read_files(self) -> tuple[bytes, Secrets]:
        mark = credentials.mark(self._files)  # first: what changes meanwhile is seen at the next look
        return mark, credentials.read(self._files, encrypted=self._uplink.tls)

    async def _watch(self, papers: Papers, used: bytes) -> None:
        """Have the link made anew once other secrets lie in the files, and work.

        What was written since the last look may not be whole yet: it is tried at the next one.
        """
        loop = asyncio.get_running_loop()
        last = used
        while True:
            await asyncio.sleep(self._look_every)
            found = await loop.run_in_executor(None, credentials.mark, self._files)
            if found == used:
                papers.fault = None
            elif found == last:
                try:
                    self._ahead = await self._open(settle=SETTLE)
                except LinkError as error:
                    papers.fault = error
                else:
                    papers.fault = None
                    papers.renewed.set_result(None)
                    return
            last = found


def _certificates(line: _Line) -> dict[Holder, Validity]:
    found: dict[Holder, Validity] = {}
    if line.secrets.certificate is not None:
        found[Holder.GATEWAY] = line.secrets.certificate
    if isinstance(line.below, tls.Socket) and (shown := line.below.getpeercert(binary_form=True)) is not None:
        found[Holder.BROKER] = x509.of_der(shown)
    return found
