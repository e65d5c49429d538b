"""TLS against Debian's mosquitto: each fault has its name and a sentence that helps, and renewal needs no restart."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from agent.journal.pack import Lane
from agent.uplink.broker import LinkError, LinkFault, Will
from agent.uplink.credentials import Files
from agent.uplink.mqtt import MqttBroker
from agent.uplink.publisher import State
from tests import brokers
from tests.uplink.authority import GOOD_CA, LOCALHOST, SERVER, Authority, Pair, openssl
from tests.uplink.outbox import MemoryOutbox, publisher, uplink
from tests.uplink.test_mosquitto import running
from tests.uplink.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.brokers import Mosquitto, MosquittoFactory

WILL = Will("roadside/v1/pkt-0042/status", b'{"state":"lost"}', "application/json")
VERSIONS = pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def serve(mosquitto: MosquittoFactory, authority: Authority) -> Callable[..., Mosquitto]:
    """Start a broker with a certificate; with `clients`, it asks everybody for one of that authority."""

    def start(pair: Pair, *settings: str, clients: Authority | None = None) -> Mosquitto:
        lines = [f"certfile {pair.certificate}", f"keyfile {pair.key}", f"cafile {authority.certificate}", *settings]
        if clients is not None:
            lines += ["require_certificate true", "use_identity_as_username true"]
        return mosquitto(*lines)

    return start


def secure(broker: Mosquitto, host: str = "localhost") -> str:
    return f"mqtts://{host}:{broker.port}"


def files(authority: Authority, ours: Pair | None = None) -> Files:
    if ours is None:
        return Files(authority=authority.certificate)
    return Files(authority=authority.certificate, certificate=ours.certificate, key=ours.key)


async def trouble(url: str, given: Files) -> tuple[LinkFault, str]:
    with pytest.raises(LinkError) as caught:
        async with MqttBroker(uplink(url), files=given, within=5.0).connect(WILL):
            pass
    return caught.value.fault, str(caught.value)


# --- the broker's certificate


@VERSIONS
async def test_both_sides_show_certificates_and_their_dates_are_known(authority, serve, version):
    broker = serve(authority.broker(end=20), f"tls_version {version}", clients=authority)
    made = MqttBroker(uplink(secure(broker)), files=files(authority, authority.gateway(start=-9, end=10)))
    async with made.connect(WILL) as link:
        assert await link.publish("t", b"1", retain=False, properties={}, content_type="text/plain") in {0, 0x10}
        dates = link.papers.certificates
        assert {whose: round((one.ends - one.begins) / 86_400) for whose, one in dates.items()} == {
            "gateway": 19,
            "broker": 21,
        }


async def test_an_unknown_authority(authority, serve, tmp_path):
    other = Authority(tmp_path / "other")
    fault, text = await trouble(secure(serve(authority.broker())), files(other))
    assert fault is LinkFault.TLS
    assert "unknown authority" in text
    assert "check ca_file" in text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_another_name(authority, serve, host):
    broker = serve(authority.broker("other", "subjectAltName = DNS:broker.example"))
    fault, text = await trouble(secure(broker, host), files(authority))
    assert fault is LinkFault.TLS
    assert "is for another name" in text


async def test_an_expired_one(authority, serve):
    fault, text = await trouble(secure(serve(authority.broker(start=-9, end=-1))), files(authority))
    assert fault is LinkFault.TLS
    assert "has expired" in text


async def test_one_from_the_future_means_that_our_clock_is_wrong(authority, serve):
    fault, text = await trouble(secure(serve(authority.broker(start=5, end=9))), files(authority))
    assert fault is LinkFault.CLOCK_WRONG
    assert "clock of this gateway is wrong" in text


@pytest.mark.parametrize(
    ("of_authority", "of_broker", "said"),
    [
        (GOOD_CA[:1] + GOOD_CA[2:], SERVER, "key usage"),
        (("basicConstraints = CA:TRUE", *GOOD_CA[1:]), SERVER, "Basic Constraints"),
        (GOOD_CA, (*SERVER[2:], "authorityKeyIdentifier = none"), "Authority Key Identifier"),
    ],
)
async def test_an_authority_that_python_313_refuses_is_refused_by_every_python_and_says_why(
    mosquitto, tmp_path, of_authority, of_broker, said
):
    loose = Authority(tmp_path / "loose", of_authority)
    pair = loose.issue("broker", (*of_broker, LOCALHOST))
    broker = mosquitto(f"certfile {pair.certificate}", f"keyfile {pair.key}")
    fault, text = await trouble(secure(broker), files(loose))
    assert fault is LinkFault.TLS
    assert said.lower() in text.lower()
    assert "docs/tls.md" in text


async def test_a_broker_without_tls(mosquitto, authority):
    fault, text = await trouble(secure(mosquitto()), files(authority))
    assert fault in {LinkFault.TLS, LinkFault.TIMED_OUT}
    assert "does not" in text


async def test_a_broker_with_tls_that_is_spoken_to_without(authority, serve):
    fault, _ = await trouble(f"mqtt://localhost:{serve(authority.broker()).port}", Files())
    assert fault is LinkFault.CLOSED


# --- our own certificate


@VERSIONS
async def test_the_broker_wants_one(authority, serve, version):
    broker = serve(authority.broker(), f"tls_version {version}", clients=authority)
    fault, text = await trouble(secure(broker), files(authority))
    assert fault is LinkFault.CERTIFICATE
    assert "it wants a client certificate" in text


@VERSIONS
async def test_the_broker_refuses_one_of_another_authority(authority, serve, tmp_path, version):
    broker = serve(authority.broker(), f"tls_version {version}", clients=authority)
    stranger = Authority(tmp_path / "stranger").gateway()
    fault, text = await trouble(secure(broker), files(authority, stranger))
    assert fault is LinkFault.CERTIFICATE
    assert "the broker does not know" in text


@VERSIONS
async def test_the_broker_refuses_one_that_has_expired(authority, serve, version):
    broker = serve(authority.broker(), f"tls_version {version}", clients=authority)
    fault, text = await trouble(secure(broker), files(authority, authority.gateway(start=-9, end=-1)))
    assert fault is LinkFault.CERTIFICATE
    assert "it has expired; renew it" in text


@VERSIONS
async def test_the_broker_refuses_one_that_is_for_servers(authority, serve, version):
    broker = serve(authority.broker(), f"tls_version {version}", clients=authority)
    wrong = authority.issue("wrong", (*SERVER, LOCALHOST))
    fault, text = await trouble(secure(broker), files(authority, wrong))
    assert fault is LinkFault.CERTIFICATE
    assert "purpose" in text


async def test_a_key_that_does_not_belong_to_it(authority):
    mixed = Pair(authority.gateway("old").certificate, authority.gateway("new").key)
    fault, text = await trouble("mqtts://localhost:1", files(authority, mixed))
    assert fault is LinkFault.CERTIFICATE
    assert "does not belong to the certificate" in text
    assert str(mixed.key) in text


async def test_an_encrypted_key_asks_nobody(authority, tmp_path):
    ours, locked = authority.gateway(), tmp_path / "locked.key"
    openssl("pkcs8", "-topk8", "-in", ours.key, "-out", locked, "-passout", "pass:hunter2")
    fault, text = await trouble("mqtts://localhost:1", files(authority, Pair(ours.certificate, locked)))
    assert fault is LinkFault.CERTIFICATE
    assert "is encrypted" in text


@pytest.mark.parametrize("what", ["certificate", "key"])
@pytest.mark.parametrize(
    "content", [None, "", "no PEM at all\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
async def test_a_file_that_is_missing_empty_or_something_else(authority, tmp_path, what, content):
    bad = tmp_path / "bad"
    if content is not None:
        bad.write_text(content)
    fault, text = await trouble("mqtts://localhost:1", files(authority, authority.gateway()._replace(**{what: bad})))
    assert fault is LinkFault.CERTIFICATE
    assert str(bad) in text


# --- renewal


def install(pair: Pair, ours: Pair) -> None:
    shutil.copy(pair.certificate, ours.certificate)
    shutil.copy(pair.key, ours.key)


async def test_a_renewed_pair_is_taken_up_and_half_of_it_harms_nothing(authority, serve, tmp_path):
    broker, outbox = serve(authority.broker(), clients=authority), MemoryOutbox()
    ours = Pair(tmp_path / "ours.pem", tmp_path / "ours.key")
    install(authority.gateway(start=-9, end=1), ours)
    configured = uplink(secure(broker))
    way = publisher(configured, outbox, MqttBroker(configured, files=files(authority, ours), look_every=0.05))
    async with running(way):
        await until(lambda: way.snapshot().state is State.ONLINE)
        before = way.snapshot().certificates["gateway"].ends
        renewed = authority.gateway("renewed", end=90)
        shutil.copy(renewed.certificate, ours.certificate)
        await until(lambda: "does not belong" in way.snapshot().renewal)
        alarm = outbox.put(Lane.ALARMS)
        await until(lambda: alarm in outbox.finished)
        assert (way.snapshot().state, way.snapshot().reconnects) == (State.ONLINE, 0)
        shutil.copy(renewed.key, ours.key)
        await until(lambda: way.snapshot().reconnects == 1)
        after = way.snapshot()
        assert (after.fault, after.renewal) == (None, "")
        assert after.certificates["gateway"].ends > before + 80 * 86_400
        assert not after.tally.refused


async def test_a_renewed_pair_that_the_broker_would_refuse_is_not_taken_up(authority, serve, tmp_path):
    broker, outbox = serve(authority.broker(), clients=authority), MemoryOutbox()
    ours = Pair(tmp_path / "ours.pem", tmp_path / "ours.key")
    install(authority.gateway(), ours)
    configured = uplink(secure(broker))
    way = publisher(configured, outbox, MqttBroker(configured, files=files(authority, ours), look_every=0.05))
    async with running(way):
        await until(lambda: way.snapshot().state is State.ONLINE)
        install(Authority(tmp_path / "stranger").gateway(), ours)
        await until(lambda: "the broker does not know" in way.snapshot().renewal)
        outbox.put(Lane.LIVE)
        await until(lambda: outbox.finished)
        assert way.snapshot().reconnects == 0


async def test_a_link_swapped_for_another_folder_counts_as_renewed(authority, serve, tmp_path):
    for name, end in (("old", 5), ("new", 50)):
        (tmp_path / name).mkdir()
        install(authority.gateway(name, end=end), Pair(tmp_path / name / "pem", tmp_path / name / "key"))
    current = tmp_path / "current"
    current.symlink_to("old")
    broker, outbox = serve(authority.broker(), clients=authority), MemoryOutbox()
    configured, ours = uplink(secure(broker)), Pair(current / "pem", current / "key")
    way = publisher(configured, outbox, MqttBroker(configured, files=files(authority, ours), look_every=0.05))
    async with running(way):
        await until(lambda: way.snapshot().state is State.ONLINE)
        (tmp_path / "next").symlink_to("new")
        (tmp_path / "next").replace(current)
        await until(lambda: way.snapshot().reconnects == 1)


async def test_a_renewal_in_the_midst_of_a_backlog_loses_and_doubles_nothing(authority, serve, tmp_path):
    broker, outbox = serve(authority.broker()), MemoryOutbox()
    trusted = tmp_path / "ca.pem"
    shutil.copy(authority.certificate, trusted)
    configured = uplink(secure(broker), window=20)
    way = publisher(configured, outbox, MqttBroker(configured, files=Files(authority=trusted), look_every=0.05))
    async with running(way):
        for _ in range(300):
            outbox.put(Lane.HISTORY)
        await until(lambda: outbox.finished)
        trusted.write_text(trusted.read_text() + "\n# renewed\n")
        while way.snapshot().reconnects == 0:
            outbox.put(Lane.ALARMS)
            count = len(outbox.finished)
            await until(lambda: len(outbox.finished) > count)  # noqa: B023 - waited for within the turn
        await until(lambda: not outbox.unfinished())
        await until(lambda: way.snapshot().tally.published == way.snapshot().tally.acked)  # documents as well
    assert len({(pack.stream, pack.first) for pack in outbox.finished}) == len(outbox.finished)


async def test_a_renewed_password_is_taken_up(mosquitto, tmp_path):
    users, secret = brokers.password_file(tmp_path, gateway="right", other="also right"), tmp_path / "password"
    secret.write_text("right\n")
    broker, outbox = mosquitto("allow_anonymous false", f"password_file {users}"), MemoryOutbox()
    configured = uplink(broker.url, username="gateway")
    way = publisher(configured, outbox, MqttBroker(configured, files=Files(password=secret), look_every=0.05))
    async with running(way):
        await until(lambda: way.snapshot().state is State.ONLINE)
        secret.unlink()
        await until(lambda: str(secret) in way.snapshot().renewal)
        assert way.snapshot().state is State.ONLINE
        brokers.password_file(tmp_path, gateway="renewed")
        secret.write_text("renewed")
        await until(lambda: way.snapshot().reconnects == 1 or way.snapshot().fault is LinkFault.REFUSED_LOGIN)
        assert "renewed" not in repr(way.snapshot())
