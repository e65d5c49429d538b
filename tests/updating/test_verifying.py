"""Whether a release is let in: by who signed it, when, and what for."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from agent.updating import confined, signing
from agent.updating.archive import MANIFEST, TARGETS, pack
from agent.updating.targets import TARGETS as MACHINES
from agent.updating.verifying import RefusedError, Wanted, verify
from tests.updating.releases import DAYS, MACHINE, SIGNED, archive, rebuilt, targets

DAY = 86_400


class Gateway:
    """What a gateway trusts, and which release it runs."""

    def __init__(self, folder, keys):
        folder.mkdir(exist_ok=True)
        self.trusted, self.root, self.present = folder, (keys / "1.root.json").read_bytes(), "1.0"

    def verify(self, whole, floor=0, target=str(MACHINE)):
        return verify(io.BytesIO(whole), self.trusted, self.root, Wanted(target, self.present, floor))

    def refuses(self, whole, why, **how):
        with pytest.raises(RefusedError, match=why):
            self.verify(whole, **how)


@pytest.fixture
def gateway(tmp_path, keys):
    return Gateway(tmp_path / "trusted", keys)


@pytest.fixture(scope="module")
def good(keys):
    return archive(keys, targets())


def test_a_release_that_is_signed_newer_and_for_this_gateway_is_let_in(gateway, good):
    checked = gateway.verify(good)
    assert checked.version == "1.1"
    assert set(checked.files) == set(targets())
    for name, (offset, size, _) in checked.files.items():
        assert good[offset : offset + size] == targets()[name]


def test_the_same_release_again_is_let_in(gateway, good):
    gateway.verify(good)
    gateway.verify(good)


def test_every_flipped_byte_is_refused_or_changes_nothing_that_counts(gateway, good):
    whole = gateway.verify(good)
    for at in range(11, len(good), len(good) // 120):
        shutil.rmtree(gateway.trusted / "metadata", ignore_errors=True)
        broken = bytearray(good)
        broken[at] ^= 0x10
        try:
            assert gateway.verify(bytes(broken)) == whole  # in what only tar reads, such as a time or padding
        except RefusedError:
            assert not (gateway.trusted / "metadata").exists()


@pytest.mark.parametrize("name", ["wheels/other-3-py3-none-any.whl", "systemd/roadside.service", MANIFEST])
def test_a_file_that_is_not_the_one_that_was_signed_is_refused(gateway, good, name):
    def change(files):
        files[TARGETS + name] = files[TARGETS + name] + b" "

    gateway.refuses(rebuilt(good, change), "it is damaged")


def test_what_nobody_signed_is_refused(gateway, good):
    gateway.refuses(pack({TARGETS + name: data for name, data in targets().items()}, SIGNED), "is not signed")
    gateway.refuses(rebuilt(good, lambda files: files.pop(TARGETS + "systemd/roadside.service")), "signature")


@pytest.mark.parametrize("whole", [b"", b"no release", b"\0" * 10_240, pack({"a": b""}, SIGNED)])
def test_what_is_no_release_is_refused(gateway, whole):
    gateway.refuses(whole, "no release of Roadside")


def test_a_release_that_is_cut_short_is_refused(gateway, good):
    end = max(offset + size for offset, size, _ in gateway.verify(good).files.values())  # behind it is padding
    for size in [*range(0, end, end // 30), end - 1]:
        gateway.refuses(good[:size], "no release|not signed|damaged|signature")


def test_a_release_by_somebody_elses_key_is_refused(gateway, tmp_path):
    signing.make_keys(tmp_path / "others", signing.moment_of(SIGNED))
    gateway.refuses(archive(tmp_path / "others", targets()), "not signed by a key that this gateway trusts")


def test_metadata_that_is_older_than_what_was_accepted_is_refused(gateway, keys):
    gateway.verify(archive(keys, targets("1.2"), SIGNED + DAY))
    gateway.refuses(archive(keys, targets("1.3"), SIGNED), "before the release that this gateway has accepted last")


@pytest.mark.parametrize("version", ["0.9", "1.0", "0.10", "1"])
def test_a_release_that_is_not_later_than_the_present_one_is_refused(gateway, keys, version):
    gateway.refuses(archive(keys, targets(version)), f"it is {version}, and 1.0 runs already")


def test_a_release_for_another_kind_of_gateway_is_refused_and_leaves_no_trace(gateway, keys, good):
    other = MACHINES["trixie-armv7l"]
    gateway.refuses(archive(keys, targets("1.1", other), SIGNED + DAY), "made for trixie-armv7l; this gateway needs")
    assert not list(gateway.trusted.iterdir())
    gateway.verify(good)


def test_a_release_whose_signature_has_expired_is_refused(gateway, keys):
    now = int(time.time())
    gateway.refuses(archive(keys, targets(), now - 10 * DAY, 9.0), "has expired")
    gateway.verify(archive(keys, targets(), now - 10 * DAY, 11.0))


def test_where_the_clock_is_behind_the_latest_known_time_tells_what_has_expired(gateway, keys):
    whole = archive(keys, targets(), days=DAYS)
    gateway.refuses(whole, "has expired", floor=int(SIGNED + (DAYS + 1) * DAY))
    gateway.verify(whole, floor=int(SIGNED + (DAYS - 1) * DAY))


def test_either_key_can_be_replaced_and_a_gateway_follows_from_its_first_root(gateway, keys, tmp_path):
    folder = tmp_path / "keys"
    shutil.copytree(keys, folder)
    old = archive(folder, targets("1.1"))
    signing.make_keys(folder, signing.moment_of(SIGNED), rotate=frozenset({"release.pem"}))
    gateway.verify(archive(folder, targets("1.2"), SIGNED + DAY))
    signing.make_keys(folder, signing.moment_of(SIGNED), rotate=frozenset({"root.pem", "release.pem"}))
    gateway.verify(archive(folder, targets("1.3"), SIGNED + 2 * DAY))
    stolen = tmp_path / "stolen"
    shutil.copytree(keys, stolen)
    gateway.refuses(archive(stolen, targets("1.4"), SIGNED + 3 * DAY), "not signed by a key that this gateway trusts")
    gateway.refuses(old, "not signed by a key that this gateway trusts|signed before")
    fresh = Gateway(tmp_path / "fresh", keys)
    assert fresh.verify(archive(folder, targets("1.5"), SIGNED + 4 * DAY)).version == "1.5"


CUTS = {
    "while a new key is written": {"root.pem.new": b""},
    "before anything says that the new keys count": {"root.pem.new": "root.pem", "release.pem.new": "release.pem"},
    "while that is written": {"root.pem.new": "root.pem", "release.pem.new": "release.pem", "2.root.json.new": b"{"},
    "before the new keys are in their places": {
        "root.pem.new": "root.pem",
        "release.pem.new": "release.pem",
        "2.root.json": "2.root.json",
    },
    "when the old root key has made room": {
        "root.pem": None,
        "root-1.pem": "root-1.pem",
        "root.pem.new": "root.pem",
        "release.pem.new": "release.pem",
        "2.root.json": "2.root.json",
    },
    "between the two keys": {
        "root.pem": "root.pem",
        "root-1.pem": "root-1.pem",
        "release.pem.new": "release.pem",
        "2.root.json": "2.root.json",
    },
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_replacement_of_keys_that_was_cut_strands_nobody(gateway, keys, tmp_path, cut):
    whole, folder = tmp_path / "whole", tmp_path / "keys"
    shutil.copytree(keys, whole)
    shutil.copytree(keys, folder)
    signing.make_keys(whole, signing.moment_of(SIGNED), rotate=frozenset({"root.pem", "release.pem"}))
    for name, held in CUTS[cut].items():
        if held is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(held if isinstance(held, bytes) else (whole / held).read_bytes())
    gateway.verify(archive(folder, targets("1.1"), SIGNED + DAY))
    signing.make_keys(folder, signing.moment_of(SIGNED), rotate=frozenset({"root.pem", "release.pem"}))
    gateway.verify(archive(folder, targets("1.2"), SIGNED + 2 * DAY))


def test_a_replaced_root_that_the_old_one_did_not_sign_is_refused(gateway, keys, tmp_path):
    folder = tmp_path / "keys"
    signing.make_keys(folder, signing.moment_of(SIGNED))
    signing.make_keys(folder, signing.moment_of(SIGNED), rotate=frozenset({"root.pem"}))
    shutil.copy(keys / "1.root.json", folder)
    gateway.refuses(archive(folder, targets()), "not signed by a key that this gateway trusts")


def test_what_is_trusted_survives_a_cut_at_any_moment_of_taking_over(gateway, keys):
    gateway.verify(archive(keys, targets("1.2"), SIGNED + DAY))
    (gateway.trusted / "metadata").rename(gateway.trusted / ".old")  # the only moment at which it is not in its place
    (gateway.trusted / ".new-abc").mkdir()
    gateway.refuses(archive(keys, targets("1.3"), SIGNED), "before the release")
    assert [path.name for path in gateway.trusted.iterdir()] == ["metadata"]


def checking(gateway, root, *more, language="en"):
    command = confined.check(language, gateway.trusted)
    return [*command, "--root", str(root), "--target", str(MACHINE), "--above", "1.0", *more]


@pytest.fixture
def root(keys):
    return keys / "1.root.json"


@pytest.fixture
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(confined.LIB))


@pytest.mark.usefixtures("importable")
def test_the_process_says_on_one_line_what_it_found(gateway, root, good, tmp_path):
    (tmp_path / "release").write_bytes(good)
    with (tmp_path / "release").open("rb") as file:
        checked = confined.ask(checking(gateway, root), file)
    assert checked.version == "1.1"
    assert set(checked.files) == set(targets())


@pytest.mark.usefixtures("importable")
def test_the_process_says_in_the_technicians_words_why_not(gateway, root, tmp_path):
    (tmp_path / "release").write_bytes(b"no release")
    with (tmp_path / "release").open("rb") as file, pytest.raises(confined.ConfinedError, match="no release of Road"):
        confined.ask(checking(gateway, root), file)


@pytest.mark.usefixtures("importable")
def test_a_release_is_fetched_from_a_web_server(gateway, root, good):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/release" else 404)
            self.end_headers()
            self.wfile.write(good)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(server.serve_forever, 0.05)
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            checked = confined.ask(checking(gateway, root, "--url", f"{url}/release"), None)
            assert checked.version == "1.1"
            assert (gateway.trusted / confined.FETCHED).read_bytes() == good
            with pytest.raises(confined.ConfinedError, match="404"):
                confined.ask(checking(gateway, root, "--url", f"{url}/other"), None)
        finally:
            server.shutdown()
    with pytest.raises(confined.ConfinedError, match="only http and https"):
        confined.ask(checking(gateway, root, "--url", "file:///etc/passwd"), None)


@pytest.mark.parametrize("said", ["", "7", "{}", '{"version": "../x", "files": {}}', '{"version": 1, "files": [1]}'])
def test_an_answer_of_another_shape_is_no_answer(said):
    with pytest.raises(confined.ConfinedError, match="nonsense"):
        confined.ask([sys.executable, "-c", f"print({said!r})"], None)


def test_checking_takes_no_cryptography_which_has_no_wheel_for_every_gateway(gateway, root, good, tmp_path):
    (tmp_path / "release").write_bytes(good)
    hidden = "import sys; sys.modules['cryptography'] = None; from agent.updating import verifying; verifying.main()"
    with (tmp_path / "release").open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", hidden, *checking(gateway, root)[4:]],
            stdin=file,
            stdout=subprocess.PIPE,
            check=False,
            env={**os.environ, "PYTHONPATH": str(confined.LIB)},
        )
    assert json.loads(done.stdout)["version"] == "1.1"
