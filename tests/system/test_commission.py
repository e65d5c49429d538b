"""`roadside commission` with the real agent: the test plays the technician, and the cabinet what hangs in it."""

import asyncio
import base64
import json
import subprocess
import sys
from contextlib import asynccontextmanager, suppress

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.commissioning.report import CONTEXT
from hil.devices import a02yyuw
from tests.system.gateway import Gateway

WITHIN = 60  # seconds
BOARD = a02yyuw.frame(1000)
KEY, CERTIFICATE = "/etc/roadside/key.pem", "/etc/roadside/certificate.pem"


class Technician:
    """Reads what the command says, and types."""

    def __init__(self, process):
        self.process = process
        self.said = ""

    async def reads(self, text):
        """Wait until it says so; what it said before is behind us."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN):
                while text not in self.said and (line := await self.process.stdout.readline()):
                    self.said += line.decode()
        assert text in self.said, f"it never says {text!r}, but: {self.said}"
        read, _, self.said = self.said.partition(text)
        return read

    def types(self, text=""):
        self.process.stdin.write(f"{text}\n".encode())

    async def ends(self):
        async with asyncio.timeout(WITHIN):
            rest, complaints = await self.process.communicate()
        return self.process.returncode, self.said + rest.decode(), complaints.decode()


@asynccontextmanager
async def technician(gateway):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "commission", "--root", str(gateway.root), "--by", "Somchai"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Technician(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def in_test(gateway):
    return gateway.health.get("test", {})


def alarms(gateway, device):
    return [one for one in gateway.city.alarms if one.gateway == gateway.id and one.device == device]


def blows_smoke(gateway):
    air = gateway.cabinet.devices["air-1"]._pm2_5
    air._low = air._high = 300.0


async def through_the_cabinet(gateway, technician):
    """Do what is asked for at each device."""
    button, siren = gateway.cabinet.devices["panic-1"], gateway.cabinet.devices["siren-1"]
    await technician.reads("air-1")
    await technician.reads("match that has just gone out")
    blows_smoke(gateway)
    await technician.reads("passed")
    await technician.reads("level-1")
    await technician.reads("Hold a board under the sensor")
    gateway.wire("level-1").write(BOARD)
    await technician.reads("passed")
    await technician.reads("meter-1")
    assert "voltage" in await technician.reads("Are they plausible here?")
    technician.types()
    await technician.reads("panic-1")
    await technician.reads("Press the button")
    await gateway.until(lambda: set(in_test(gateway)) == set(gateway.cabinet.devices))
    button.press()
    await technician.reads("passed")
    button.release()
    assert not siren.on
    await technician.reads("siren-1")
    await technician.reads("Enter: switch on")
    technician.types()
    await gateway.until(lambda: siren.on)
    await technician.reads("Was it on?")
    assert not siren.on
    technician.types()
    await technician.reads("sign the report and send it")


def made(kind):
    return Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def check(document, key):
    """Hold a report against the public half of a key; raises InvalidSignature."""
    public = serialization.load_der_public_key(base64.b64decode(document["public_key"]))
    assert public == key.public_key()
    signature, message = base64.b64decode(document["signature"]), CONTEXT + document["report"].encode()
    public.verify(signature, message, *([] if document["algorithm"] == "ed25519" else [ec.ECDSA(hashes.SHA256())]))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-p256-sha256"])
async def test_a_cabinet_is_commissioned_without_an_alarm_and_the_city_gets_a_signed_report(broker, kind):
    secret = {"url": "mqtts://localhost:1", "key_file": KEY, "certificate_file": CERTIFICATE}
    async with Gateway(
        broker.url, settings={f"uplinks.spare.{key}": value for key, value in secret.items()}
    ) as gateway:
        key = made(kind)
        place = gateway.root / KEY.lstrip("/")
        place.parent.mkdir(parents=True)
        place.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        await gateway.well("air-1", "level-1", "meter-1")
        async with technician(gateway) as somchai:
            await through_the_cabinet(gateway, somchai)
            somchai.types()
            status, said, complaints = await somchai.ends()
        assert (status, complaints) == (0, "")
        assert "The report is signed and sent up." in said
        await gateway.until(lambda: gateway.health and not in_test(gateway))
        await gateway.until(lambda: (gateway.id, "commissioning") in gateway.city.said)
        document = gateway.city.said[gateway.id, "commissioning"]
        assert document["algorithm"] == kind
        check(document, key)
        report = json.loads(document["report"])
        assert (report["gateway"], report["by"], report["outcomes"]) == (gateway.id, "Somchai", {"passed": 5})
        level = next(one for one in report["devices"] if one["device"] == "level-1")
        assert level["arrived"]["water_level"]["highest"] == 4.0
        assert json.loads((gateway.root / "var/lib/roadside/commissioning.json").read_text()) == document
        await gateway.until(lambda: [one.raised for one in alarms(gateway, "panic-1")] == [True, False])
        assert all(one.test for one in alarms(gateway, "panic-1"))
        assert [one.value for one in gateway.cabinet.devices["siren-1"].emitted] == [True, False]


async def test_the_report_is_still_there_for_the_city_when_the_agent_was_killed(gateway):
    await gateway.well("air-1", "level-1", "meter-1")
    async with technician(gateway) as somchai:
        for _ in range(5):
            await somchai.reads("s: skip")
            somchai.types("s")
        await somchai.reads("sign the report and send it")
        somchai.types()
        status, said, _ = await somchai.ends()
    assert (status, "not signed: no uplink has a key" in said) == (2, True)
    await gateway.until(lambda: (gateway.id, "commissioning") in gateway.city.said)
    document = gateway.city.said.pop((gateway.id, "commissioning"))
    assert document["unsigned"] == "no uplink has a key"
    assert json.loads(document["report"])["outcomes"] == {"skipped": 5}
    await gateway.kill()
    await gateway.start()
    await gateway.until(lambda: gateway.city.said.get((gateway.id, "commissioning")) == document)


async def test_somebody_who_goes_back_does_it_anew_and_what_did_not_move_fails(gateway):
    await gateway.well("air-1", "level-1", "meter-1")
    async with technician(gateway) as somchai:
        await somchai.reads("1/5  air-1")
        somchai.types("s")
        await somchai.reads("2/5  level-1")
        somchai.types("b")
        await somchai.reads("1/5  air-1")
        blows_smoke(gateway)
        await somchai.reads("passed")
        await somchai.reads("2/5  level-1")
        somchai.types("what?")
        await somchai.reads("'what?' is none of these")
        somchai.types("q")
        assert "level-1  skipped" in await somchai.reads("sign the report and send it")
        somchai.types("q")
        status, _, complaints = await somchai.ends()
    assert status == 1
    assert "there is no report" in complaints
    await gateway.until(lambda: gateway.health and not in_test(gateway))
    assert (gateway.id, "commissioning") not in gateway.city.said


@pytest.mark.parametrize("how", ["killed", "hung up"])
async def test_test_mode_ends_with_the_terminal(gateway, how):
    await gateway.well("air-1")
    async with technician(gateway) as somchai:
        await somchai.reads("air-1")
        await gateway.until(lambda: set(in_test(gateway)) == set(gateway.cabinet.devices))
        if how == "killed":
            somchai.process.kill()
        else:
            somchai.process.stdin.close()
        await somchai.ends()
    await gateway.until(lambda: gateway.health and not in_test(gateway))


async def test_an_output_is_not_switched_by_somebody_who_does_not_commission(gateway):
    await gateway.well("air-1")
    reader, writer = await asyncio.open_unix_connection(gateway.root / "run/roadside/control")
    writer.write(b'{"do": "switch", "device": "siren-1", "for": 1}\n')
    assert "only while somebody commissions" in json.loads(await reader.readline())["error"]
    writer.close()
