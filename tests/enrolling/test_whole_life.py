"""The real agent with a certificate that it enrolled for, at a real broker, until it is revoked."""

import socket
import ssl
import time

import pytest

from agent.enrolling.authority import server_pair
from agent.enrolling.enrolment import enrol
from tests.cli.roadside import roadside
from tests.enrolling.gateways import identity_in
from tests.enrolling.workshop import Workshop
from tests.system.gateway import Gateway, uplink_has

pytestmark = pytest.mark.system
CONNECT = bytes.fromhex("100c 0004 4d515454 04 02 003c 0000")  # MQTT 3.1.1, section 3.1: a clean session without a name
CONNACK = bytes.fromhex("20020000")
IDENTITY = "/var/lib/roadside/identity/current"


def strict_broker(mosquitto, workshop, folder):
    """Return a broker that lets in nobody without a certificate of this workshop that counts."""
    for name, text in zip(
        ("broker.pem", "broker.key"), server_pair(workshop.authority, ["localhost"], time.time()), strict=True
    ):
        (folder / name).write_text(text)
    workshop.office.publish()
    return mosquitto(
        f"cafile {workshop.folder / 'root.pem'}",
        f"crlfile {workshop.folder / 'crl.pem'}",
        f"certfile {folder / 'broker.pem'}",
        f"keyfile {folder / 'broker.key'}",
        "require_certificate true",
        "use_identity_as_username true",
    )


def by_certificate(broker):
    """Return the settings of an uplink to it."""
    settings = {
        "url": f"mqtts://localhost:{broker.port}",
        "ca_file": f"{IDENTITY}/ca.pem",
        "certificate_file": f"{IDENTITY}/gateway.pem",
        "key_file": f"{IDENTITY}/gateway.key",
    }
    return {f"uplinks.spare.{key}": value for key, value in settings.items()}


async def test_a_gateway_enrols_delivers_is_revoked_and_is_let_in_no_more(broker, mosquitto, workshop, tmp_path):
    strict = strict_broker(mosquitto, workshop, tmp_path)
    async with Gateway(broker.url, settings=by_certificate(strict), start=False) as gateway:
        claim = gateway.root / "etc/roadside/claim"
        claim.parent.mkdir(parents=True)
        claim.write_text(workshop.claim(gateway.id) + "\n")
        with workshop.process():
            enrolled = roadside("enrol", "--root", gateway.root)
        assert enrolled.returncode == 0, enrolled.stderr
        assert not claim.exists()

        await gateway.start()
        await gateway.go_on("air-1")
        await gateway.says(uplink_has("spare", None))
        await gateway.cabinet.quiet()
        said = await gateway.says(lambda said: not any(said["journal"]["waiting"]["spare"].values()))
        assert said["uplinks"]["spare"]["certificates"]["gateway"]["state"] == "ok"

        revoked = roadside("enrol", "revoke", gateway.id, "--authority", workshop.folder)
        assert revoked.returncode == 0, revoked.stderr
        strict.stop()
        strict.start()
        said = await gateway.says(uplink_has("spare", "certificate"))
        assert "revoked" in said["uplinks"]["spare"]["message"]
        await gateway.loses_nothing()


def is_let_in(broker, identity):
    """Return whether a broker takes a login with the certificate of a gateway."""
    current = identity.current()
    context = ssl.create_default_context(cafile=current.authority)
    context.load_cert_chain(current.chain, current.key)
    try:
        with (
            socket.create_connection(("127.0.0.1", broker.port), 30) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(CONNECT)
            return connection.recv(100) == CONNACK
    except OSError:
        return False


def test_a_replaced_gateway_is_let_in_until_its_replacement_is_and_no_longer(mosquitto, workshop, tmp_path):
    old, new, other = (identity_in(tmp_path / name) for name in ("old", "new", "other"))
    with workshop.serving():
        enrol(old, workshop.claim())
        enrol(other, workshop.claim("pkt-0043"))
        strict = strict_broker(mosquitto, workshop, tmp_path)
        token = workshop.claim(replaces=True)
        assert is_let_in(strict, old)
        enrol(new, token)
    strict.stop()
    strict.start()
    assert not is_let_in(strict, old)
    assert is_let_in(strict, new)
    assert is_let_in(strict, other)


def test_a_gateway_of_another_workshop_is_not_let_in(mosquitto, workshop, tmp_path):
    theirs = Workshop(tmp_path / "elsewhere")
    identity = identity_in(tmp_path)
    with theirs.serving():
        enrol(identity, theirs.claim())
    strict = strict_broker(mosquitto, workshop, tmp_path)
    (identity.current().folder / "ca.pem").write_bytes((workshop.folder / "root.pem").read_bytes())
    assert not is_let_in(strict, identity)
