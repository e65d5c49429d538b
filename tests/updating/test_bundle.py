"""`roadside bundle`: one file, the same bytes each time, and in it nothing that is not in the lock."""

import io
import json
import re
import shutil
import subprocess
import tarfile
import time
import tomllib
import zipfile
from hashlib import sha256
from importlib.metadata import distribution

import pytest
from click import BadParameter
from click.testing import CliRunner
from packaging.requirements import Requirement

from agent.commands.bundle import command
from agent.updating import lock
from agent.updating.archive import MANIFEST, TARGETS, Archive
from agent.updating.targets import TARGETS as MACHINES
from tests.updating.checkouts import PROJECT, checkout, installed_wheels

MOMENT = 1_790_000_000
FOR = "bookworm-x86_64"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    return installed_wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def project(tmp_path_factory, wheels):
    return checkout(tmp_path_factory.mktemp("project") / "one", "1.1", wheels)


def bundle(*arguments):
    return CliRunner().invoke(command, [*map(str, arguments)], standalone_mode=False)


def make(project, wheels, path, *more):
    made = bundle("--project", project, "--wheels", wheels, "--for", FOR, "--date", MOMENT, "--to", path, *more)
    assert made.return_value == 0, made.output
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(project, wheels, keys, tmp_path_factory):
    return make(project, wheels, tmp_path_factory.mktemp("made") / "release", "--key", keys)


def test_the_same_inputs_give_the_same_bytes_in_another_folder_and_under_another_umask(
    whole, project, wheels, keys, tmp_path
):
    other = shutil.copytree(project, tmp_path / "two")
    for path in other.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    assert make(other, wheels, tmp_path / "release", "--key", keys) == whole


def test_nothing_in_it_says_who_made_it_or_where(whole):
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        entries = tar.getmembers()
        own = next(tar.extractfile(entry).read() for entry in entries if "/roadside-1.1" in entry.name)
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime, one.mode) for one in entries} == {
        (0, 0, "", "", MOMENT, 0o644)
    }
    with zipfile.ZipFile(io.BytesIO(own)) as wheel:
        times = {entry.date_time for entry in wheel.infolist()}
    assert times == {(*time.gmtime(MOMENT)[:5], time.gmtime(MOMENT).tm_sec // 2 * 2)}


def test_the_manifest_names_every_file_with_its_digest(whole):
    archive = Archive(io.BytesIO(whole))
    manifest = json.loads(archive.read(TARGETS + MANIFEST))
    assert (manifest["version"], manifest["generation"], manifest["architecture"]) == ("1.1", "bookworm", "x86_64")
    assert manifest["debian"] == ["python3-lgpio"]
    targets = {name.removeprefix(TARGETS) for name in archive.places if name.startswith(TARGETS)}
    assert targets == {*manifest["files"], MANIFEST}
    for name, digest in manifest["files"].items():
        assert sha256(archive.read(TARGETS + name)).hexdigest() == digest


def test_the_parts_list_has_every_wheel_with_its_digest_and_every_debian_package(whole):
    archive = Archive(io.BytesIO(whole))
    parts = json.loads(archive.read(TARGETS + "sbom.cdx.json"))
    assert (parts["bomFormat"], parts["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", parts["serialNumber"])
    assert parts["metadata"]["component"]["purl"] == "pkg:pypi/roadside@1.1"
    named = {lock.canonical(part["name"]): part for part in parts["components"]}
    assert set(named) == {"python3-lgpio", *map(lock.canonical, lock.NEEDED)}
    digests = {part["hashes"][0]["content"] for part in parts["components"] if "hashes" in part}
    wheels = [name for name in archive.places if name.startswith(TARGETS + "wheels/") and "/roadside-" not in name]
    assert digests == {sha256(archive.read(name)).hexdigest() for name in wheels}


def test_a_wheel_that_the_lock_does_not_know_is_refused(project, wheels, tmp_path):
    other = shutil.copytree(wheels, tmp_path / "wheels")
    path = next(other.glob("click-*"))
    path.write_bytes(path.read_bytes() + b"\0")
    made = bundle("--project", project, "--wheels", other, "--for", FOR, "--date", MOMENT, "--to", tmp_path / "release")
    assert made.return_value == 1
    assert "is not a wheel that releases.lock knows" in made.output
    path.unlink()
    made = bundle("--project", project, "--wheels", other, "--for", FOR, "--date", MOMENT, "--to", tmp_path / "release")
    assert "has no wheel of click" in made.output


def test_keys_are_made_once_and_replaced_only_if_that_is_said(tmp_path):
    folder = tmp_path / "keys"
    assert bundle("keys", folder).return_value == 0
    assert (folder / "release.pem").stat().st_mode & 0o777 == 0o600
    assert "say which one is to be replaced" in bundle("keys", folder).output
    assert bundle("keys", folder, "--replace", "release").output.strip() == str(folder / "2.root.json")


# --- the lock that is in the checkout ---------------------------------------------------------------------------------

LOCKED = (PROJECT / lock.NAME).read_text()


def test_the_lock_has_the_pinned_versions():
    pins = {line for line in (PROJECT / "constraints.txt").read_text().splitlines() if "==" in line}
    for line in LOCKED.splitlines()[1:]:
        pin, *hashes = line.split(" ")
        assert pin in pins
        assert hashes


def test_the_lock_has_all_that_a_gateway_needs_and_nothing_else():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    waiting = [Requirement(one).name for one in project["dependencies"] + extras["signatures"] + extras["update"]]
    needed = set()
    while waiting:
        name = lock.canonical(waiting.pop())
        if name not in needed:
            needed.add(name)
            asked = map(Requirement, distribution(name).requires or ())
            waiting += [one.name for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    needed.discard("setuptools")  # colorzero asks for it and imports nothing of it
    assert needed == set(map(lock.canonical, lock.NEEDED))
    assert needed == {lock.canonical(line.partition("==")[0]) for line in LOCKED.splitlines()[1:]}


@pytest.mark.parametrize("name", MACHINES)
def test_what_a_target_needs_is_a_part_of_the_lock(name):
    lines = lock.requirements_for(MACHINES[name], LOCKED).splitlines()
    assert len(lines) == len(lock.wanted(MACHINES[name]))
    assert all("--hash=sha256:" in line for line in lines)


def deb(folder, name, architecture="all"):
    """Make a Debian package with nothing in it."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1:2.0-1\nArchitecture: {architecture}\nMaintainer: A <a@example>\nDescription: x\n"
    )
    path = folder / f"{name}_1%3a2.0-1_{architecture}.deb"  # as apt-get download names it
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", root, path], check=True, capture_output=True)
    shutil.rmtree(root)
    return path


def test_debian_packages_are_brought_and_are_in_the_parts_list_with_version_and_digest(project, wheels, tmp_path):
    path = deb(tmp_path / "debs", "python3-lgpio")
    whole = make(project, wheels, tmp_path / "release", "--debs", path.parent)
    archive = Archive(io.BytesIO(whole))
    assert archive.read(f"{TARGETS}debian/{path.name}") == path.read_bytes()
    parts = json.loads(archive.read(f"{TARGETS}sbom.cdx.json"))["components"]
    (part,) = [one for one in parts if one["name"] == "python3-lgpio"]
    assert part["version"] == "1:2.0-1"
    assert part["hashes"] == [{"alg": "SHA-256", "content": sha256(path.read_bytes()).hexdigest()}]


def test_a_debian_package_for_another_architecture_is_refused(project, wheels, tmp_path):
    path = deb(tmp_path / "debs", "python3-lgpio", "armhf")
    refused = bundle("--project", project, "--wheels", wheels, "--for", FOR, "--date", MOMENT,
                     "--to", tmp_path / "x", "--debs", path.parent)  # fmt: skip
    assert refused.return_value == 1
    assert "is for armhf, and bookworm-x86_64 is amd64" in refused.output


def test_a_file_that_cannot_be_written_is_told_and_is_no_crash(project, wheels, tmp_path):
    path = tmp_path / "nowhere/release"
    made = bundle("--project", project, "--wheels", wheels, "--for", FOR, "--date", MOMENT, "--to", path)
    assert made.return_value == 1
    assert "nowhere" in made.output


@pytest.mark.parametrize("days", ["inf", "nan", "1e9"])
def test_a_release_lasts_no_longer_than_the_root_key(project, wheels, keys, tmp_path, days):
    signed = ("--key", keys, "--days", days, "--to", tmp_path / "release")
    made = bundle("--project", project, "--wheels", wheels, "--for", FOR, "--date", MOMENT, *signed)
    assert made.return_value == 1 or isinstance(made.exception, BadParameter)
    assert not (tmp_path / "release").exists()
