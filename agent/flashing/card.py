"""Makes one card, from what a gateway is to be to a card that was read back: first all that can be wrong is looked for.

plan = prepare(Order(...), now)  nothing is written; raises FlashError, ConfigError
with Card(path) as medium:
    made = make(plan, medium, progress, moment)
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from agent.config.load import build, read_file
from agent.enrolling import claims
from agent.flashing import bmap, bootfiles, image, network, writing
from agent.flashing.fat import Fat, FatReader
from agent.flashing.medium import FlashError, Head, Image
from agent.i18n import _
from agent.updating.archive import MANIFEST, TARGETS, Archive, ArchiveError
from agent.updating.targets import Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from agent.config.model import Config
    from agent.flashing.medium import Card, Medium
    from agent.flashing.writing import Progress

UNITS = {"first-boot": "first-boot", "first-boot-start": "start", "first-boot.service": "first-boot.service"}
CREDENTIAL = re.compile(r"[A-Za-z0-9_.-]{1,63}")
SMALLEST_RESERVE = 8 << 20  # bytes that stay free on the boot partition: kernels are updated there


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one card is to be."""

    gateway: str  # its id
    image: Path  # .img, .img.xz, .img.zst
    bundle: Path  # what `roadside bundle` made
    configuration: Path  # gateway.toml
    root: Path | None = None  # 1.root.json: whose releases are trusted
    claim: str | None = field(default=None, repr=False)  # says of itself which service takes it; good for one enrolment
    keys: Path | None = None  # public SSH keys of who may come in
    credentials: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # for the agent, by name
    networks: Sequence[Path] = ()  # connection profiles of NetworkManager
    country: str = ""  # where its Wi-Fi is: ISO 3166-1, two letters


class Plan(NamedTuple):
    """A card of which everything that can be known before is known to be right."""

    order: Order
    config: Config
    image: image.Inspected
    blocks: bmap.Bmap | None
    release: str  # version
    files: dict[str, bytes]  # in the folder `roadside` of the boot partition


class Made(NamedTuple):
    """A card that was made and read back."""

    image_sha256: str  # of what was written
    configuration_sha256: str


def prepare(order: Order, now: float) -> Plan:
    """Return how a card is to be made, and touch nothing; raises FlashError, ConfigError and OSError.

    `now` is the present time in seconds since 1970.
    """
    source = read_file(order.configuration)
    config = build(source)
    if config.gateway.id != order.gateway:
        text = _("{path} is the configuration of {other}, not of {gateway}")
        raise FlashError(text.format(path=order.configuration, other=config.gateway.id, gateway=order.gateway))
    inspected = image.inspect(order.image)
    release, files = _release(order.bundle, inspected.target)
    files["gateway.toml"] = source.text.encode()
    if order.root is not None:
        files["root.json"] = _root(order.root)
    files |= _secrets(order, now)
    files |= network.profiles(order.networks, order.country)
    if order.keys is not None:
        files["authorized_keys"] = _keys(order.keys)
    with Image(order.image) as packed:
        _check_room(FatReader(Head(packed), inspected.boot_at), files)
    found = bmap.beside(order.image)
    return Plan(order, config, inspected, None if found is None else bmap.read(found), release, files)


def make(plan: Plan, medium: Card, progress: Progress, moment: datetime) -> Made:
    """Write a card and read it back; what goes wrong leaves it marked as unfinished. Raises FlashError and OSError."""
    size = plan.blocks.size if plan.blocks else plan.image.size
    if medium.is_device and medium.size < size:
        text = _("the card has {have:.1f} GB, and {path} needs {need:.1f} GB")
        raise FlashError(text.format(have=medium.size / 1e9, need=size / 1e9, path=plan.order.image))
    writing.begin(medium)
    if not medium.is_device:
        medium.cut(size)
    written = writing.write(medium, plan.order.image, plan.blocks, size, progress)
    writing.check(medium, written, progress)
    personalise(plan, medium, written.digest, moment)
    writing.finish(medium, written.first)
    return Made(written.digest, hashlib.sha256(plan.files["gateway.toml"]).hexdigest())


def personalise(plan: Plan, medium: Medium, digest: str, moment: datetime) -> None:
    """Put the files of the first start on the boot partition, and read them back; raises FlashError."""
    gateway, boot = plan.order.gateway, Fat(medium, plan.image.boot_at)
    # So that cloud-init takes every flashing for a new one, and the same flashing twice for the same.
    about = hashlib.sha256(digest.encode() + moment.isoformat().encode()).hexdigest()[:12]
    cmdline, config = (boot.read(name).decode("utf-8", "surrogateescape") for name in ("cmdline.txt", "config.txt"))
    files = bootfiles.described(gateway, plan.files)
    generation = plan.image.target.generation
    files |= bootfiles.starters(generation, gateway, about, cmdline, config, plan.order.country)
    _check_room(boot, files)
    for name, data in files.items():
        boot.write(name, data, moment)
    medium.sync()
    again = Fat(medium, plan.image.boot_at)
    for name, data in files.items():
        if again.read(name) != data:
            raise FlashError(_("{name} is not on the card as it was written: throw the card away").format(name=name))


def _check_room(boot: FatReader, files: Mapping[str, bytes]) -> None:
    needed = sum(-(-len(data) // boot.cluster_size) * boot.cluster_size for data in files.values())
    if boot.free() < needed + SMALLEST_RESERVE:
        text = _("the boot partition has {free} MiB free, and {needed} MiB are needed")
        raise FlashError(text.format(free=boot.free() >> 20, needed=needed + SMALLEST_RESERVE >> 20))


def _release(path: Path, target: Target) -> tuple[str, dict[str, bytes]]:
    """Return the version of a release, and what of it goes on the card: all of it, and what is needed to unpack it."""
    data = path.read_bytes()
    try:
        archive = Archive(io.BytesIO(data))
        manifest = json.loads(archive.read(TARGETS + MANIFEST))
        version, made_for = str(manifest["version"]), Target(manifest["generation"], manifest["architecture"])
        for name, digest in manifest["files"].items():
            if hashlib.sha256(archive.read(TARGETS + name)).hexdigest() != digest:
                raise FlashError(_("{path}: {name} in it is damaged; copy it again").format(path=path, name=name))
        files = {ours: archive.read(f"{TARGETS}systemd/{name}") for name, ours in UNITS.items()}
    except (ArchiveError, LookupError, TypeError, ValueError) as error:
        text = _("{path} is no release that roadside bundle has made ({error})")
        raise FlashError(text.format(path=path, error=error)) from error
    if made_for != target:
        text = _("{path} is a release for {release}, and the image is for {image}: take the one that fits")
        raise FlashError(text.format(path=path, release=made_for, image=target))
    return version, {"release.tar": data, **files}


def _root(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        kind = json.loads(data)["signed"]["_type"]
    except (ValueError, LookupError, TypeError):
        kind = ""
    if kind != "root":
        raise FlashError(_("{path} is not the 1.root.json of a folder of keys").format(path=path))
    return data


def _secrets(order: Order, now: float) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    if order.claim is not None:
        try:
            claim = claims.read(order.claim.strip())
        except claims.ClaimError as error:
            raise FlashError(str(error)) from error
        if claim.gateway != order.gateway:
            text = _("this claim is for {other}, not for {gateway}")
            raise FlashError(text.format(other=claim.gateway, gateway=order.gateway))
        if claim.until <= now:
            raise FlashError(_("this claim has expired; have the workshop make another"))
        files["claim"] = order.claim.strip().encode()
    for name, data in order.credentials.items():
        if not CREDENTIAL.fullmatch(name) or name.startswith("."):
            raise FlashError(
                _("{name} is no name of a credential: letters, digits, _ and - make one").format(name=name)
            )
        files[f"credentials/{name}"] = data
    return files


def _keys(path: Path) -> bytes:
    data = path.read_bytes()
    lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    if (
        b"PRIVATE KEY" in data
        or not lines
        or not all(re.search(r"\b(ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/=]+", one) for one in lines)
    ):
        raise FlashError(_("{path} has no public SSH key in each of its lines").format(path=path))
    return data
