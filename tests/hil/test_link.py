"""The link: up, cut, hung, and up again."""

import asyncio
import socket

import pytest

from hil.link import Link, LinkState
from tests.hil.waiting import until


@pytest.fixture
async def link():
    """A link in front of a server that sends everything back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with Link(server.sockets[0].getsockname()[1]) as link:
        yield link
    server.close()
    await server.wait_closed()


class Talk:
    """One connection through the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def begin(cls, link: Link) -> "Talk":
        return cls(*await asyncio.open_connection("127.0.0.1", link.port))

    async def echo(self, data: bytes, within: float = 5) -> bytes:
        self.writer.write(data)
        async with asyncio.timeout(within):
            return await self.reader.readexactly(len(data))

    async def end(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


async def test_a_link_passes_bytes_both_ways(link):
    talk = await Talk.begin(link)
    assert await talk.echo(b"hello") == b"hello"
    assert link.connections == 1
    await talk.end()
    await until(lambda: link.connections == 0)
    assert link.passed == 2 * len(b"hello")


async def test_a_cut_link_resets_what_there_is_and_refuses_the_rest(link):
    talk = await Talk.begin(link)
    await talk.echo(b"hello")
    await link.cut()
    with pytest.raises(ConnectionResetError):
        await talk.reader.read(1)
    with pytest.raises(ConnectionRefusedError):
        await Talk.begin(link)
    assert (link.state, link.connections) == (LinkState.CUT, 0)
    await talk.end()


async def test_a_restored_link_is_at_the_same_port(link):
    port = link.port
    await link.cut()
    await link.restore()
    assert link.port == port
    talk = await Talk.begin(link)
    assert await talk.echo(b"again") == b"again"
    await talk.end()


async def test_a_hung_link_takes_connections_and_passes_nothing_on(link):
    old = await Talk.begin(link)
    await old.echo(b"hello")
    link.hang()
    new = await Talk.begin(link)
    for talk in (old, new):
        with pytest.raises(TimeoutError):
            await talk.echo(b"?", within=0.05)
    await link.restore()
    for talk in (old, new):
        assert await talk.reader.readexactly(1) == b"?"
        await talk.end()


async def test_a_hung_link_can_be_cut(link):
    talk = await Talk.begin(link)
    link.hang()
    await until(lambda: link.connections)
    await link.cut()
    with pytest.raises(ConnectionResetError):
        await talk.reader.read(1)
    await talk.end()


@pytest.mark.parametrize("turns", range(8))
async def test_who_comes_while_the_link_is_cut_is_reset_like_the_rest(link, turns):
    link.hang()
    with socket.create_connection(("127.0.0.1", link.port)) as late:
        for _ in range(turns):  # of the loop, each a step of its being accepted
            await asyncio.sleep(0)
        await link.cut()
        assert link.connections == 0
        late.settimeout(5)
        with pytest.raises(ConnectionResetError):
            late.recv(1)
