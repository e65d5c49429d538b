"""Opens sockets to brokers on the loop, TLS and WebSocket included.

No thread waits for a connection (only for a name): an attempt that is cancelled ends at once and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from agent.uplink.websocket import READ_SIZE, Opening, WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def dial(host: str, port: int, *, within: float, tls: ssl.SSLContext | None = None) -> socket.socket:
    """Return a connected, non-blocking socket, with TLS if a context is given; raises OSError (ssl.SSLError is one).

    The addresses of a name are tried in turn, each for its share of the time: one dead route must not use up all of it.
    """
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # such as an empty label; the name server is not even asked
        raise socket.gaierror(socket.EAI_NONAME, "not the name of a host") from None
    failures: list[OSError] = []
    for family, kind, protocol, _, address in addresses:
        try:
            async with asyncio.timeout(within / len(addresses)):
                return await _open(socket.socket(family, kind, protocol), address, host, tls)
        except OSError as error:
            failures.append(error)
    raise failures[0]


async def _open(sock: socket.socket, address: Any, host: str, tls: ssl.SSLContext | None) -> socket.socket:  # noqa: ANN401 - its shape depends on the family
    with ExitStack() as on_failure:
        on_failure.callback(sock.close)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            on_failure.callback(sock.close)
            await _patiently(sock, sock.do_handshake)
        on_failure.pop_all()
    return sock


async def upgrade(sock: socket.socket, host: str, port: int, path: str, *, within: float) -> WebSocket:
    """Return a WebSocket over a socket that `dial` opened; raises OSError, WebSocketError among them."""
    opening = Opening(host, port, path)
    async with asyncio.timeout(within):
        request = opening.request
        while request:
            request = request[await _patiently(sock, lambda: sock.send(request), writes=True) :]  # noqa: B023 - at once
        while (rest := opening.feed(await _patiently(sock, lambda: sock.recv(READ_SIZE)))) is None:
            pass
    return WebSocket(sock, rest)


async def settle(sock: socket.socket | WebSocket, within: float) -> None:
    """Return when a broker that was said nothing to has kept the connection for so long; raises OSError if it did not.

    A refusal of our certificate arrives after the handshake.
    """
    try:
        async with asyncio.timeout(within):
            if not await _patiently(sock, lambda: sock.recv(1)):
                raise ConnectionResetError
            raise ConnectionAbortedError  # it speaks first, which no broker does
    except TimeoutError:
        return


async def _patiently(sock: socket.socket | WebSocket, act: Callable[[], T], *, writes: bool = False) -> T:
    """Do what may block, when it does not."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return act()
        except ssl.SSLWantReadError:
            await _ready(sock, loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _ready(sock, loop.add_writer, loop.remove_writer)
        except BlockingIOError:
            if writes:
                await _ready(sock, loop.add_writer, loop.remove_writer)
            else:
                await _ready(sock, loop.add_reader, loop.remove_reader)


async def _ready(sock: socket.socket | WebSocket, add: Callable[..., object], remove: Callable[..., object]) -> None:
    ready = asyncio.Event()
    add(sock, ready.set)
    try:
        await ready.wait()
    finally:
        remove(sock)
