"""Images as Raspberry Pi OS has them, but small, made by the system's own tools without root; and releases for them."""

import shutil
import struct
import subprocess
from hashlib import sha256

from agent.flashing.card import UNITS
from agent.updating import bundle
from agent.updating.archive import TARGETS, pack
from agent.updating.targets import TARGETS as MACHINES
from tests.updating import releases

MIB = 1 << 20
BLOCK = 4096  # bytes
BOOT_AT, BOOT_SIZE, ROOT_SIZE = 4 * MIB, 36 * MIB, 2 * MIB
CMDLINE = "console=serial0,115200 console=tty1 root=PARTUUID=fb33757d-02 rootfstype=ext4 fsck.repair=yes rootwait\n"
CONFIG = "# For more options see http://rptl.io/configtxt\ndtparam=audio=on\n\n[all]\n"
CLOUD_INIT = ("user-data", "meta-data", "network-config")
CONFIGURATION = """\
[gateway]
id = "pkt-0042"
label = { en = "Karon Beach, lifeguard tower 3", th = "หาดกะรน หอไลฟ์การ์ด 3" }

[uplinks.city]
url = "mqtt://127.0.0.1:1883"

[devices.air-1]
driver = "plantower"
port = "/dev/ttyAMA0"
"""


def why_no_tools():
    """Return what is missing to make and judge images; empty if nothing is."""
    needed = ("mkfs.vfat", "fsck.vfat", "mcopy", "mke2fs", "e2fsck")
    return ", ".join(name for name in needed if shutil.which(name, path="/usr/bin:/usr/sbin:/sbin:/bin") is None)


def run(*command, check=True):
    """Run a tool; returns what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/usr/sbin"})
    assert not check or not done.returncode, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def image(folder, generation="bookworm", architecture="aarch64", boot_size=BOOT_SIZE):
    """Make an image: a partition table, a boot partition and a root partition."""
    boot, root = folder / "boot", folder / "root"
    boot.mkdir(parents=True)
    (boot / "config.txt").write_text(CONFIG)
    (boot / "cmdline.txt").write_text(CMDLINE)
    for name in ("kernel8.img", "issue.txt", *(("kernel7l.img",) if architecture == "armv7l" else ())):
        (boot / name).write_text(name)
    for name in CLOUD_INIT if generation == "trixie" else ():
        (boot / name).write_text("# of the image\n")
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text(f"VERSION_CODENAME={generation}\n")
    path = folder / f"{generation}.img"
    with path.open("wb") as file:
        file.write(table(boot_size))
        file.truncate(BOOT_AT + boot_size + ROOT_SIZE)
    part = folder / "part"
    with part.open("wb") as file:
        file.truncate(boot_size)
    run("mkfs.vfat", "-F", "32", "-n", "BOOTFS", str(part))
    run("mcopy", "-i", str(part), *sorted(map(str, boot.iterdir())), "::/")
    inject(path, part, BOOT_AT)
    run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(part.with_name("ext4")), f"{ROOT_SIZE // 1024}k")
    inject(path, part.with_name("ext4"), BOOT_AT + boot_size)
    return path


def map_blocks(path):
    """Write beside an image which of its blocks hold something, in the words of bmaptool's format 2.0."""
    data = path.read_bytes()
    used = [at // BLOCK for at in range(0, len(data), BLOCK) if data[at : at + BLOCK].strip(b"\0")]
    runs = [[used[0], used[0]]]
    for block in used[1:]:
        if block == runs[-1][1] + 1:
            runs[-1][1] = block
        else:
            runs.append([block, block])
    ranges = "".join(
        f'<Range chksum="{sha256(data[first * BLOCK : (last + 1) * BLOCK]).hexdigest()}"> {first}-{last} </Range>\n'
        for first, last in runs
    )
    text = (
        f'<?xml version="1.0" ?>\n<bmap version="2.0">\n<ImageSize> {len(data)} </ImageSize>\n'
        f"<BlockSize> {BLOCK} </BlockSize>\n<BmapFileChecksum> {'0' * 64} </BmapFileChecksum>\n"
        f"<BlockMap>\n{ranges}</BlockMap>\n</bmap>\n"
    )
    own = sha256(text.encode()).hexdigest()
    path.with_name(f"{path.name}.bmap").write_text(text.replace("0" * 64, own))


def table(boot_size):
    """Return a first sector that names both partitions."""
    entries = [(0x0C, BOOT_AT, boot_size), (0x83, BOOT_AT + boot_size, ROOT_SIZE)]
    packed = b"".join(struct.pack("<4xB3xII", kind, at // 512, size // 512) for kind, at, size in entries)
    return bytes(446) + packed.ljust(64, b"\0") + b"\x55\xaa"


def inject(path, part, offset):
    """Put a file into another one, and remove it."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(part.read_bytes())
    part.unlink()


def judged(path):
    """Return what fsck.vfat and e2fsck object to in the partitions of a card."""
    folder = path.parent
    boot, root = folder / "judged.fat", folder / "judged.ext4"
    with path.open("rb") as file:
        file.seek(BOOT_AT)
        boot.write_bytes(file.read(BOOT_SIZE))
        root.write_bytes(file.read(ROOT_SIZE))
    run("e2fsck", "-f", "-n", str(root))
    said = run("fsck.vfat", "-n", str(boot))  # it ends with 1 for whatever it would change
    boot.unlink()
    root.unlink()
    return said


def taken_out(path, folder):
    """Take all files out of the boot partition, by mtools."""
    folder.mkdir(parents=True, exist_ok=True)
    run("mcopy", "-s", "-n", "-i", f"{path}@@{BOOT_AT}", "::/*", str(folder))
    return folder


def release(path, machine="bookworm-aarch64", version="1.1", more=None):
    """Make a release that is not signed, of wheels that hold next to nothing."""
    targets = releases.targets(version, MACHINES[machine], more)
    assert set(UNITS) <= {name.removeprefix(bundle.UNITS) for name in targets}
    path.write_bytes(pack({TARGETS + name: data for name, data in targets.items()}, releases.SIGNED))
    return path
