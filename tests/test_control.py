"""The control socket: what it answers, what it survives, and what a technician reads when nobody answers."""

import asyncio
import json
import stat
from contextlib import aclosing, asynccontextmanager

import pytest

from agent import i18n, logs
from agent.control import LONGEST_REQUEST, ControlError, ControlServer, ask, follow

STATUS = {"gateway": "pkt-0042", "label": "คลองกะรน"}
VERBS = {"status": lambda _request: STATUS, "echo": lambda request: {"said": request.get("text")}}


@pytest.fixture
async def path(tmp_path):
    path = tmp_path / "run" / "control"
    async with ControlServer(path, VERBS, logs.get("control")):
        yield path


@asynccontextmanager
async def talk(path):
    """Yield a function that sends raw bytes and returns the answer, None when hung up."""
    reader, writer = await asyncio.open_unix_connection(path)

    async def say(data):
        writer.write(data)
        async with asyncio.timeout(5):
            line = await reader.readline()
        return json.loads(line) if line else None

    try:
        yield say
    finally:
        writer.close()


async def test_one_line_of_json_is_answered_with_one_line(path):
    assert await ask(path, {"do": "status"}) == STATUS
    assert await ask(path, {"do": "echo", "text": "สวัสดี"}) == {"said": "สวัสดี"}


async def test_a_talk_goes_on_after_an_answer(path):
    async with talk(path) as say:
        assert await say(b'{"do": "status"}\n') == {"ok": STATUS}
        assert await say(b'{"do": "echo", "text": 7}\n') == {"ok": {"said": 7}}


@pytest.mark.parametrize(
    "request_line", [b'{"do": "fly"}\n', b"{}\n", b"[1]\n", b'"status"\n', b'{"do": ["status"]}\n']
)
async def test_an_unknown_request_is_told_which_are_known(path, request_line):
    async with talk(path) as say:
        assert await say(request_line) == {"error": "unknown request; known are: echo, status"}
        assert await say(b'{"do": "status"}\n') == {"ok": STATUS}


@pytest.mark.parametrize("garbage", [b"\n", b"GET / HTTP/1.1\r\n", b"\xff\xfe\n", b"{\n", b"[" * 20_000 + b"\n"])
async def test_garbage_is_told_so_and_does_not_end_the_talk(path, garbage):
    async with talk(path) as say:
        assert await say(garbage) == {"error": "not a line of JSON"}
        assert await say(b'{"do": "status"}\n') == {"ok": STATUS}


async def test_too_long_a_line_is_told_so_and_ends_the_talk_but_not_the_server(path):
    async with talk(path) as say:
        assert await say(b"x" * (2 * LONGEST_REQUEST)) == {"error": "too long a request"}

    assert await ask(path, {"do": "status"}) == STATUS


async def test_two_are_answered_at_once_and_one_that_says_nothing_is_in_nobodys_way(path):
    async with talk(path), talk(path) as one, talk(path) as other:
        answers = await asyncio.gather(one(b'{"do": "status"}\n'), other(b'{"do": "echo", "text": 1}\n'))

    assert answers == [{"ok": STATUS}, {"ok": {"said": 1}}]


async def test_whoever_hangs_up_in_the_middle_does_no_harm(path):
    async with talk(path):
        _reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"do": "sta')
        writer.close()

    assert await ask(path, {"do": "status"}) == STATUS


async def test_only_the_service_and_its_group_may_ask(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o007 == 0


async def test_at_the_end_it_hangs_up_and_the_socket_is_gone(tmp_path):
    path = tmp_path / "control"
    async with ControlServer(path, VERBS, logs.get("control")):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"do": "status"}\n')
        assert await reader.readline()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()

    assert not path.exists()


async def test_a_socket_that_a_crash_left_behind_is_replaced(tmp_path):
    path = tmp_path / "control"
    left = await asyncio.start_unix_server(lambda _r, writer: writer.close(), path)
    left.close()
    await left.wait_closed()
    path.touch()

    async with ControlServer(path, VERBS, logs.get("control")):
        assert await ask(path, {"do": "status"}) == STATUS


async def test_a_socket_that_cannot_be_made_is_logged_and_the_agent_goes_on(tmp_path, caplog):
    (tmp_path / "run").write_text("a file where the folder should be")

    async with ControlServer(tmp_path / "run" / "control", VERBS, logs.get("control")):
        pass

    assert "control_unavailable" in caplog.text


# --- verbs that go on ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def going_on(tmp_path):
    """Yield the socket of a server that counts for whoever asks, and an event that is set when it gives up."""
    ended = asyncio.Event()

    async def count(request):
        if request.get("to") == 0:
            raise ControlError("nothing to count")
        try:
            for number in range(request.get("to", 1_000_000)):
                yield {"number": number}
        finally:
            ended.set()

    async with ControlServer(tmp_path / "control", {"count": count, "status": lambda _: STATUS}, logs.get("control")):
        yield tmp_path / "control", ended


async def test_a_verb_that_goes_on_answers_until_it_has_no_more_to_say(tmp_path):
    async with going_on(tmp_path) as (path, ended):
        answers = [answer["number"] async for answer in follow(path, {"do": "count", "to": 3})]
    assert answers == [0, 1, 2]
    assert ended.is_set()


async def test_a_verb_that_goes_on_ends_when_whoever_asked_hangs_up(tmp_path):
    async with going_on(tmp_path) as (path, ended), asyncio.timeout(5):
        async with aclosing(follow(path, {"do": "count"})) as answers:
            assert await anext(answers) == {"number": 0}
        await ended.wait()
        assert await ask(path, {"do": "status"}) == STATUS


async def test_one_who_does_not_read_holds_up_nobody_else(tmp_path):
    async with going_on(tmp_path) as (path, ended):
        _reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"do": "count"}\n')
        assert await ask(path, {"do": "status"}) == STATUS
        assert not ended.is_set()
        writer.close()
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_verb_that_goes_on_may_say_no(tmp_path):
    async with going_on(tmp_path) as (path, _):
        with pytest.raises(ControlError, match="nothing to count"):
            await anext(follow(path, {"do": "count", "to": 0}))


async def test_at_the_end_whoever_follows_is_hung_up_on(tmp_path):
    async with going_on(tmp_path) as (path, ended):
        answers = follow(path, {"do": "count"})
        await anext(answers)
    assert ended.is_set()
    async with asyncio.timeout(5):
        rest = [answer["number"] async for answer in answers]
    assert rest[:1] == [1]


async def test_to_follow_when_no_agent_runs(tmp_path):
    with pytest.raises(ControlError, match="no agent is running here"):
        await anext(follow(tmp_path / "control", {"do": "count"}))


# --- what whoever asks reads ---------------------------------------------------------------------------------------


async def asked(path):
    with pytest.raises(ControlError) as caught:
        await ask(path, {"do": "status"})
    return str(caught.value)


async def test_no_agent_running(tmp_path):
    assert await asked(tmp_path / "control") == (
        f"{tmp_path / 'control'}: no agent is running here; is the service started?"
    )


async def test_a_dead_agents_socket_is_no_agent_running(tmp_path):
    server = await asyncio.start_unix_server(lambda _r, writer: writer.close(), tmp_path / "dead")
    (tmp_path / "dead").rename(tmp_path / "control")
    server.close()
    await server.wait_closed()

    assert "no agent is running here" in await asked(tmp_path / "control")


async def test_not_permitted(tmp_path, monkeypatch):
    async def refused(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    # The one thing of the system's that is replaced: root, who runs tests in containers, is permitted everything.
    monkeypatch.setattr(asyncio, "open_unix_connection", refused)

    assert await asked(tmp_path / "control") == (
        f"{tmp_path / 'control'}: not permitted; ask as root or as a member of the group 'roadside'"
    )


@pytest.mark.parametrize("answer", [b"", b"hello\n", b"[]\n", b'{"ok": 1}\n', b'{"no": 1}\n'])
async def test_what_is_no_agent_at_all(tmp_path, answer):
    async def other(reader, writer):
        await reader.readline()
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(other, tmp_path / "control"):
        assert "what answers here is no agent" in await asked(tmp_path / "control")


async def test_an_agent_that_does_not_know_the_request_is_of_another_version(path):
    with pytest.raises(ControlError, match=r"of another version and cannot do this \(fly\); restart it"):
        await ask(path, {"do": "fly"})


async def test_what_the_agent_says_is_told_in_the_language_of_whoever_asked(tmp_path):
    def refuse(_request):
        raise ControlError("no uplink 'moon'; there are: city")

    async with ControlServer(tmp_path / "control", {"resend": refuse}, logs.get("control")):
        i18n.install("th")
        try:
            with pytest.raises(ControlError) as caught:
                await ask(tmp_path / "control", {"do": "resend"})
        finally:
            i18n.install("en")
    assert "no uplink" not in str(caught.value)
    assert "moon" in str(caught.value)
