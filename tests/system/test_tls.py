"""The agent's own process with certificates and a password from files: it drains, tells their end, keeps secrets."""

import shutil

from tests.brokers import password_file
from tests.system.gateway import Gateway
from tests.uplink.authority import Authority

SECRET = "correct-horse-battery"  # noqa: S105 - of a broker of this test alone


async def test_an_uplink_with_certificates_and_password_drains_and_no_secret_is_shown(broker, mosquitto, tmp_path):
    authority = Authority(tmp_path / "authority")
    theirs, ours = authority.broker(), authority.gateway(start=-29, end=1)
    strict = mosquitto(
        "allow_anonymous false",
        f"password_file {password_file(tmp_path, roadside=SECRET)}",
        f"certfile {theirs.certificate}",
        f"keyfile {theirs.key}",
        f"cafile {authority.certificate}",
        "require_certificate true",
    )
    names = ("ca_file", "certificate_file", "key_file", "password_file")
    settings = {"url": f"mqtts://localhost:{strict.port}", "username": "roadside"}
    settings |= {name: f"/etc/roadside/{name}" for name in names}
    async with Gateway(
        broker.url, settings={f"uplinks.spare.{key}": value for key, value in settings.items()}, start=False
    ) as gateway:
        folder = gateway.root / "etc/roadside"
        folder.mkdir(parents=True)
        for name, file in zip(names, (authority.certificate, *ours), strict=False):
            shutil.copy(file, folder / name)
        (folder / "password_file").write_text(f"{SECRET}\n")
        (folder / "password_file").chmod(0o600)
        await gateway.start()
        said = await gateway.says(lambda said: "certificates" in said["uplinks"]["spare"])
        assert set(said["uplinks"]["spare"]["certificates"]) == {"gateway", "broker"}
        await gateway.go_on("air-1")
        await gateway.cabinet.quiet()
        said = await gateway.says(lambda said: not any(said["journal"]["waiting"]["spare"].values()))
        await gateway.loses_nothing()
        key = [line for line in ours.key.read_text().splitlines() if "-" not in line]
        for secret in (SECRET, *key):
            assert secret not in gateway.log()
            assert secret not in str(said)
