"""The first start, on the real systemd in a container: from what `roadside flash` has left on the boot partition."""

import json
import os
import re
import runpy
import select
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from agent.flashing import card
from agent.flashing.bootfiles import USER_DATA
from agent.flashing.card import Order, Plan, personalise
from agent.flashing.image import Inspected
from agent.flashing.medium import Card
from agent.updating import bundle
from agent.updating.targets import TARGETS, here
from hil.container import PACKAGES, Container, why_not
from hil.debian import DebianError, bare, unpack
from tests.flashing import images
from tests.updating.checkouts import PROJECT, checkout, installed_wheels
from tests.updating.test_bundle import deb

MOMENT = datetime(2026, 11, 22, 12, tzinfo=UTC)
SLOW = 300.0  # seconds for an installation on a machine that is busy: most of it is compiling
MACHINE = here() or TARGETS["bookworm-x86_64"]
BOOT = "boot/firmware"
CLAIM = "the.claim.itself"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA ops@example\n"
# What the first boot is told in a container, which has no LED and must not blink for ever.
DROP_IN = """\
[Service]
ExecStart=
ExecStart=/usr/local/lib/roadside/first-boot --leds /leds --once
"""


@pytest.fixture(scope="module")
def boot(tmp_path_factory):
    """The boot partition of a flashed card, taken out by mtools, with a release that this machine can run."""
    if missing := images.why_no_tools():
        pytest.skip(f"not installed: {missing}")
    folder = tmp_path_factory.mktemp("first")
    wheels = installed_wheels(folder / "wheels")
    project = checkout(folder / "project", "1.1", wheels)
    debs = deb(folder / "debs", "python3-lgpio").parent
    release = folder / "release"
    release.write_bytes(
        bundle.make(project, MACHINE, int(time.time()), wheels=wheels, keys=None, days=1.0, packages=debs)
    )
    path = images.image(folder / "image", boot_size=80 * images.MIB)
    order = Order(gateway="pkt-0042", image=path, bundle=release, configuration=folder)
    version, files = card._release(release, MACHINE)
    files |= {"gateway.toml": images.CONFIGURATION.encode(), "root.json": b"{}", "claim": CLAIM.encode()}
    files |= {"credentials/password": b"hidden", "authorized_keys": KEY.encode()}
    files |= {"network/karon.nmconnection": b"psk=hidden from the street\n"}
    plan = Plan(order, None, Inspected(images.BOOT_AT, 0, MACHINE), None, version, files)
    with Card(path) as medium:
        personalise(plan, medium, "", MOMENT)
    return images.taken_out(path, folder / "boot")


@pytest.fixture(scope="module")
def archive():
    if reason := why_not():
        pytest.skip(reason)
    try:
        return bare(PACKAGES)
    except DebianError as error:
        pytest.skip(f"no bare Debian to be had: {error}")


@pytest.fixture
def machine(boot, archive, tmp_path):
    """A bare system with that boot partition, which has never heard of Roadside."""
    root = tmp_path / "root"
    root.mkdir()
    unpack(archive, root)
    shutil.copytree(boot, root / BOOT)
    with (root / "etc/hosts").open("a") as file:
        file.write("127.0.1.1\t\traspberrypi\n")  # as pi-gen writes it
    (root / "leds/ACT").mkdir(parents=True)
    for name in ("trigger", "brightness"):
        (root / "leds/ACT" / name).write_text("")
    drop_in = root / "etc/systemd/system/roadside-first-boot.service.d/test.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(DROP_IN)
    with Container(root) as machine:
        yield machine
    shutil.rmtree(root)


def log(machine):
    path = machine.root / BOOT / "roadside-log.txt"
    return path.read_bytes().decode() if path.exists() else ""


def is_over(machine):
    return machine.show("roadside-first-boot.service", "ActiveState")["ActiveState"] in {"inactive", "failed"}


def led(machine):
    return (machine.root / "leds/ACT/trigger").read_text()


def blinks(machine):
    """Run the first start until it fails; return the code that the LED would blink, and the reason."""
    machine.run("/usr/local/lib/roadside/first-boot", "--leds", "/leds", "--once", check=False)
    code, reason = re.findall(r"NOT DONE \((\d) blinks\): (.*)", log(machine))[-1]
    return int(code), reason


def test_from_the_card_to_the_green_light_and_again_after_a_cut_at_each_stage(machine):
    bootcmd = re.search(r'\[sh, -c, "(.*)"\]', USER_DATA.format(gateway="x", start="/boot/firmware/roadside/start"))[1]
    # As bookworm is told: firstrun.sh, which then restarts the gateway; or as trixie is.
    if MACHINE.generation == "bookworm":
        machine.run("sh", "/boot/firmware/firstrun.sh")
        assert "systemd." not in (machine.root / BOOT / "cmdline.txt").read_text()
        assert not (machine.root / BOOT / "firstrun.sh").exists()
        machine.off()
        machine.boot()
    else:
        machine.run("sh", "-c", bootcmd)
    # The power goes in the middle of the installation.
    machine.until(lambda: "Installing Roadside" in log(machine), "it installs", SLOW)
    machine.off()
    assert led(machine) == "none"
    assert (machine.root / BOOT / "roadside/claim").exists()
    machine.boot()
    # Whatever is in its way has its own code, and when that is mended it goes on.
    machine.run("systemctl", "stop", "roadside-first-boot.service", check=False)
    machine.run("mkdir", "-p", "/opt/roadside")
    machine.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/opt/roadside")
    assert blinks(machine)[0] == 3
    machine.run("umount", "/opt/roadside")
    machine.run("touch", "/etc/NetworkManager")
    assert blinks(machine)[0] == 5
    machine.run("rm", "/etc/NetworkManager")
    folder = machine.root / BOOT / "roadside"
    right, said = (folder / "gateway.toml").read_bytes(), (folder / "card.json").read_text()
    wrong = right.replace(b"plantower", b"plantow")
    (folder / "gateway.toml").write_bytes(wrong)
    (folder / "card.json").write_text(said.replace(sha256(right).hexdigest(), sha256(wrong).hexdigest()))
    code, reason = blinks(machine)
    assert (code, "plantow" in log(machine)) == (6, True), reason
    (folder / "gateway.toml").write_bytes(right)
    (folder / "card.json").write_text(said)
    # As trixie is told: cloud-init runs this at every start, and it does not matter that it was begun with otherwise.
    for left in ("etc/systemd/system/roadside-first-boot.service", "usr/local/lib/roadside/first-boot"):
        (machine.root / left).unlink()
    machine.run("sh", "-c", bootcmd)
    machine.until(lambda: "green LED stays on" in log(machine), "the first start is over", SLOW)
    machine.until(lambda: is_over(machine), "the unit has ended")
    assert led(machine) == "default-on"
    # The agent runs, with the configuration and the id of the card.
    assert machine.show("roadside.service", "ActiveState")["ActiveState"] == "active"
    assert "pkt-0042, Roadside 1.1" in machine.run("roadside", "status", check=False).stdout
    assert (machine.root / "etc/hostname").read_text() == "pkt-0042\n"
    assert machine.run("dpkg-query", "-W", "python3-lgpio").stdout.split() == ["python3-lgpio", "1:2.0-1"]
    # It knows itself by that name, without which sudo would ask the network who that is, and wait.
    assert machine.run("getent", "hosts", "pkt-0042").stdout.split() == ["127.0.1.1", "pkt-0042"]
    assert "raspberrypi" not in (machine.root / "etc/hosts").read_text()
    # Who has the key comes in, and may do what root may; nobody comes in by a password.
    home = "/home/technician/.ssh/authorized_keys"
    assert machine.run("stat", "--format=%U %a", home).stdout == "technician 600\n"
    assert (machine.root / home.lstrip("/")).read_text() == KEY
    assert {"sudo", "dialout", "gpio"} <= set(machine.run("id", "-nG", "technician").stdout.split())
    assert machine.run("passwd", "--status", "technician").stdout.split()[1] == "L"
    # Secrets are root's alone, and nothing of them is left on the boot partition.
    secrets = {"roadside/claim": CLAIM, "roadside/credentials/password": "hidden"}
    secrets["NetworkManager/system-connections/roadside-karon.nmconnection"] = "psk=hidden from the street\n"
    for path, text in secrets.items():
        assert machine.run("stat", "--format=%U %a", f"/etc/{path}").stdout == "root 600\n"
        assert (machine.root / "etc" / path).read_text() == text
    assert not (machine.root / BOOT / "roadside").exists()
    assert "hidden" not in log(machine)
    # Any laptop can read the log.
    assert all(line.endswith("\r\n") for line in log(machine).splitlines(keepends=True))
    # It does not begin again, and leaves nothing of itself.
    said = log(machine)
    machine.off()
    machine.boot()
    machine.run("sh", "-c", bootcmd)
    machine.until(lambda: machine.show("roadside", "ActiveState")["ActiveState"] == "active", "the agent runs")
    assert log(machine) == said
    assert not (machine.root / "etc/systemd/system/roadside-first-boot.service").exists()


class TestWhatGoesWrong:
    """Each is told by its own number of blinks, and says what is to be done."""

    @pytest.fixture
    def root(self, boot, tmp_path):
        folder = tmp_path / "boot"
        shutil.copytree(boot, folder)
        (tmp_path / "leds/ACT").mkdir(parents=True)
        return folder

    def first_boot(self, folder):
        done = subprocess.run(
            [sys.executable, "-I", folder / "roadside/first-boot", "--once", "--boot", folder, "--leds",
             folder.parent / "leds"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        return (folder / "roadside-log.txt").read_bytes().decode()

    def test_a_damaged_file_is_one_blink(self, root):
        path = root / "roadside/gateway.toml"
        path.write_bytes(path.read_bytes().replace(b"Karon", b"karon"))
        said = self.first_boot(root)
        assert "NOT DONE (1 blinks): roadside/gateway.toml is damaged: flash the card again" in said

    def test_a_missing_file_is_one_blink(self, root):
        (root / "roadside/release.tar").unlink()
        assert "(1 blinks): roadside/release.tar cannot be read" in self.first_boot(root)

    def test_a_description_that_makes_no_sense_is_one_blink(self, root):
        (root / "roadside/card.json").write_text("[]")
        assert "(1 blinks): roadside/card.json cannot be read" in self.first_boot(root)

    def test_a_package_that_is_nowhere_is_four_blinks(self, root):
        whole = root.parent / "release"
        images.release(whole, str(MACHINE))
        data = whole.read_bytes().replace(b"python3-lgpio", b"python3-no-no", 1)
        (root / "roadside/release.tar").write_bytes(data)
        description = json.loads((root / "roadside/card.json").read_bytes())
        del description["files"]["release.tar"]
        (root / "roadside/card.json").write_text(json.dumps(description))
        assert "(4 blinks): python3-no-no is not on this system" in self.first_boot(root)

    def test_what_nobody_has_foreseen_is_told_too(self, root):
        description = json.loads((root / "roadside/card.json").read_bytes())
        (root / "roadside/card.json").write_text(json.dumps(description | {"files": {"a\0b": ""}}))
        assert "(1 blinks): ValueError: " in self.first_boot(root)

    def test_a_release_for_another_system_is_two_blinks(self, root):
        whole = root.parent / "release"
        images.release(whole, "trixie-armv7l")
        (root / "roadside/release.tar").write_bytes(whole.read_bytes())
        description = json.loads((root / "roadside/card.json").read_bytes())
        del description["files"]["release.tar"]
        (root / "roadside/card.json").write_text(json.dumps(description))
        assert "(2 blinks): the release is for trixie-armv7l, and this system is " in self.first_boot(root)


def test_the_led_blinks_as_often_as_the_code_says_and_pauses(tmp_path):
    led_class = runpy.run_path(str(PROJECT / "systemd/first-boot"))["Led"]
    folder = tmp_path / "ACT"
    folder.mkdir()
    os.mkfifo(folder / "brightness")
    heard, rounds, last = os.open(folder / "brightness", os.O_RDWR), [0], None
    led = led_class(tmp_path)
    led.count(3)
    deadline = time.monotonic() + 60
    while len(rounds) < 2 or rounds[-1] < 3:
        assert select.select([heard], [], [], deadline - time.monotonic())[0], "the LED is dead"
        now = time.monotonic()
        if last is not None and now - last > led_class.PAUSE * 0.9:
            rounds.append(0)
        rounds[-1] += os.read(heard, 1) == b"1"
        last = now
    led.steady()
    os.close(heard)
    assert rounds == [3, 3]
    assert (folder / "trigger").read_text() == "default-on"
