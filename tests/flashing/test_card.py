"""Whole cards, made in files, judged by fsck.vfat and e2fsck and read by mtools."""

import hashlib
import json
import lzma
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from backports import zstd

from agent.config.problems import ConfigError
from agent.enrolling import claims
from agent.flashing.card import make, prepare
from agent.flashing.medium import Card, FlashError
from agent.flashing.writing import is_unfinished
from tests.flashing import images

NOW = 1_795_000_000.0
MOMENT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def quiet(what, done, total):
    del what
    assert done <= total


def flash(order, path):
    plan = prepare(order, NOW)
    with Card(path) as card:
        return make(plan, card, quiet, MOMENT)


def claim_for(gateway, until=NOW + 1000):
    """A claim that nobody has signed: what signs it is looked at by the service alone."""
    claim = claims.Claim(
        id="1", gateway=gateway, url="https://ca.example:9000", root="ab" * 32, issued=int(NOW), until=int(until),
        issuer="workshop",
    )  # fmt: skip
    from cryptography.hazmat.primitives.asymmetric import ec

    return claims.issue(claim, ec.generate_private_key(ec.SECP256R1()))


def xz(data):
    return lzma.compress(data, preset=0)


@pytest.mark.parametrize("generation", ["bookworm", "trixie"])
def test_a_card_is_sound_and_holds_all_that_its_generation_understands(order, tmp_path, generation):
    path = tmp_path / "card.img"
    flash(order(generation), path)
    assert "errors" not in images.judged(path)
    boot = images.taken_out(path, tmp_path / "boot")
    config, cmdline = (boot / "config.txt").read_text(), (boot / "cmdline.txt").read_text()
    assert config.startswith(images.CONFIG)
    for setting in ("enable_uart=1", "dtoverlay=disable-bt", "dtparam=watchdog=on", "dtparam=uart0=on"):
        assert f"\n{setting}\n" in config
    assert cmdline.startswith("console=tty1 root=PARTUUID=fb33757d-02 ")
    assert "serial0" not in cmdline
    assert cmdline.count("\n") == 1
    if generation == "trixie":
        assert (boot / "user-data").read_text().startswith("#cloud-config\n")
        assert "hostname: pkt-0042\n" in (boot / "user-data").read_text()
        assert "instance-id: roadside-pkt-0042-" in (boot / "meta-data").read_text()
        assert "optional: true" in (boot / "network-config").read_text()
        assert "systemd.run" not in cmdline
    else:
        assert "systemd.run=/boot/firmware/firstrun.sh" in cmdline
        subprocess.run(["sh", "-n", str(boot / "firstrun.sh")], check=True)
        assert not (boot / "user-data").exists()
    described = json.loads((boot / "roadside/card.json").read_bytes())
    assert described["gateway"] == "pkt-0042"
    for name, digest in described["files"].items():
        assert hashlib.sha256((boot / "roadside" / name).read_bytes()).hexdigest() == digest
    assert (boot / "roadside/gateway.toml").read_text() == images.CONFIGURATION
    assert {"release.tar", "first-boot", "start", "first-boot.service"} <= described["files"].keys()
    # What the image brought is untouched.
    assert (boot / "kernel8.img").read_text() == "kernel8.img"


@pytest.mark.parametrize("pack", [xz, zstd.compress, bytes], ids=["xz", "zst", "img"])
def test_an_image_however_packed_and_without_a_map_gives_the_same_card(order, made, tmp_path, pack):
    packed = tmp_path / "packed"
    packed.write_bytes(pack((made / "bookworm.img").read_bytes()))
    flash(order(), tmp_path / "one")
    flash(order(image=packed), tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize("pack", [xz, zstd.compress], ids=["xz", "zst"])
def test_a_packed_image_that_is_cut_is_refused_and_leaves_an_unfinished_card(order, made, tmp_path, pack):
    packed = tmp_path / "packed"
    whole = pack((made / "bookworm.img").read_bytes())
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FlashError, match="damaged or not whole"):
        flash(order(image=packed), tmp_path / "card")
    if (tmp_path / "card").exists():
        assert_unfinished(tmp_path / "card")


def assert_unfinished(path):
    with Card(path) as card:
        assert is_unfinished(card)
    assert path.read_bytes()[510:512] != b"\x55\xaa"


def test_the_same_flashing_twice_gives_the_same_bytes(order, tmp_path):
    path = tmp_path / "card"
    flash(order("trixie"), path)
    first = path.read_bytes()
    flash(order("trixie"), path)
    assert path.read_bytes() == first


def test_a_card_can_be_made_of_a_card(order, tmp_path):
    flash(order(), tmp_path / "one")
    flash(order(image=tmp_path / "one"), tmp_path / "other")
    boot = images.taken_out(tmp_path / "other", tmp_path / "boot")
    assert (boot / "config.txt").read_text().count("begin ---") == 1
    assert (boot / "cmdline.txt").read_text().count("systemd.run=") == 1
    assert "errors" not in images.judged(tmp_path / "other")


def test_a_claim_and_secrets_are_on_the_card_and_nothing_shows_them(order, tmp_path):
    token = claim_for("pkt-0042")
    asked = order(claim=token + "\n", credentials={"password": b"hidden"})
    assert token not in repr(asked)
    assert "hidden" not in repr(asked)
    flash(asked, tmp_path / "card")
    boot = images.taken_out(tmp_path / "card", tmp_path / "boot")
    assert (boot / "roadside/claim").read_text() == token
    assert (boot / "roadside/credentials/password").read_bytes() == b"hidden"


class TestRefusedBeforeAnythingIsErased:
    def refused(self, order, why, **other):
        with pytest.raises(FlashError, match=why):
            prepare(order(**other), NOW)

    def test_the_configuration_of_another_gateway(self, order):
        self.refused(order, "is the configuration of pkt-0042, not of pkt-0043", gateway="pkt-0043")

    def test_a_configuration_that_is_not_right(self, order, tmp_path):
        path = tmp_path / "gateway.toml"
        path.write_text(images.CONFIGURATION.replace("plantower", "plantow"))
        with pytest.raises(ConfigError):
            prepare(order(configuration=path), NOW)

    def test_a_release_for_another_generation(self, order, made):
        why = "is a release for trixie-aarch64, and the image is for bookworm-aarch64"
        self.refused(order, why, bundle=made / "trixie.release")

    def test_a_release_for_another_architecture(self, order, tmp_path):
        path = images.image(tmp_path / "32", "bookworm", "armv7l")
        self.refused(order, "and the image is for bookworm-armv7l", image=path)

    def test_a_release_of_which_a_byte_has_changed(self, order, made, tmp_path):
        data = bytearray((made / "bookworm.release").read_bytes())
        data[data.index(b"def main")] ^= 1
        (tmp_path / "release").write_bytes(data)
        self.refused(order, "in it is damaged", bundle=tmp_path / "release")

    def test_what_is_no_release(self, order, made):
        self.refused(order, "no release", bundle=made / "pkt-0042.toml")

    @pytest.mark.parametrize("content", [b"", b"PK\3\4", bytes(100_000), b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"])
    def test_what_is_no_image(self, order, tmp_path, content):
        (tmp_path / "image").write_bytes(content)
        self.refused(order, "image", image=tmp_path / "image")

    def test_an_image_of_something_else(self, order, tmp_path):
        path = images.image(tmp_path / "other", "bookworm")
        images.run("mdel", "-i", f"{path}@@{images.BOOT_AT}", "::/cmdline.txt")
        self.refused(order, "there is no cmdline.txt on its boot partition", image=path)

    def test_a_claim_of_another_gateway(self, order):
        self.refused(order, "is for pkt-0043, not for pkt-0042", claim=claim_for("pkt-0043"))

    def test_a_claim_that_has_expired(self, order):
        self.refused(order, "expired", claim=claim_for("pkt-0042", NOW - 1))

    def test_what_is_no_claim(self, order):
        self.refused(order, "no claim", claim="x")

    def test_a_credential_that_leads_out_of_its_folder(self, order):
        self.refused(order, "no name of a credential", credentials={"../claim": b""})

    def test_a_private_key(self, order, tmp_path):
        (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        self.refused(order, "no public SSH key", keys=tmp_path / "key")

    def test_what_is_no_root(self, order, made):
        self.refused(order, r"not the 1\.root\.json", root=made / "pkt-0042.toml")


def test_a_card_that_forgets_what_was_written_is_found(order, tmp_path):
    class Forgetful(Card):
        def write(self, offset, data):
            super().write(offset, data if offset < 8 * images.MIB else bytes(len(data)))

    with Forgetful(tmp_path / "card") as card, pytest.raises(FlashError, match="not what was written"):
        make(prepare(order(), NOW), card, quiet, MOMENT)
    assert_unfinished(tmp_path / "card")


class TestBmap:
    @pytest.fixture
    def image(self, made, tmp_path):
        """An image with what bmaptool says of it, or where there is none what we do."""
        path = tmp_path / "mapped.img"
        subprocess.run(["cp", "--sparse=always", str(made / "bookworm.img"), str(path)], check=True)
        if shutil.which("bmaptool") is None:
            images.map_blocks(path)
        else:
            images.run("bmaptool", "create", "-o", str(path.with_name("mapped.img.bmap")), str(path))
        return path

    def test_what_holds_nothing_is_not_written(self, order, image, tmp_path):
        class Counting(Card):
            written = 0

            def write(self, offset, data):
                self.written += len(data)
                super().write(offset, data)

        with Counting(tmp_path / "card") as card:
            make(prepare(order(image=image), NOW), card, quiet, MOMENT)
            assert card.written < images.BOOT_SIZE / 4
        assert "errors" not in images.judged(tmp_path / "card")
        flash(order(), tmp_path / "other")  # by our own map of the same image
        assert (tmp_path / "card").read_bytes() == (tmp_path / "other").read_bytes()

    def test_another_image_than_it_was_made_of_is_refused(self, order, image, tmp_path):
        with image.open("r+b") as file:
            file.seek(images.BOOT_AT + 0x3F0)
            file.write(b"other")
        with pytest.raises(FlashError, match="not the image that its bmap was made of"):
            flash(order(image=image), tmp_path / "card")
        assert_unfinished(tmp_path / "card")

    def test_a_damaged_one_is_refused(self, order, image):
        path = image.with_name("mapped.img.bmap")
        path.write_text(path.read_text().replace("<Range chksum", "<Range  chksum", 1))
        with pytest.raises(FlashError, match="is damaged"):
            prepare(order(image=image), NOW)
