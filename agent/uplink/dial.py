"""Opens sockets to brokers on the loop, TLS included.

No thread waits for a connection (only for a name): an attempt that is cancelled ends at once and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


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
            await _shake_hands(sock)
        on_failure.pop_all()
    return sock


async def _shake_hands(sock: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(sock, loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _ready(sock, loop.add_writer, loop.remove_writer)
        else:
            return


async def _ready(sock: ssl.SSLSocket, add: Callable[..., object], remove: Callable[..., object]) -> None:
    ready = asyncio.Event()
    add(sock, ready.set)
    try:
        await ready.wait()
    finally:
        remove(sock)
