"""Releases are put in place: whole, beside the present one, and never half."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.updating.install import InstallError, Releases
from tests.updating.releases import checked, targets

SWITCH = Path(__file__).parents[2] / "systemd/roadside-switch"


@pytest.fixture
def base(tmp_path):
    """A gateway that runs 1.0."""
    folder = tmp_path / "opt"
    (folder / "releases/1.0").mkdir(parents=True)
    (folder / "releases/1.0/COMPLETE").touch()
    (folder / "current").symlink_to("releases/1.0")
    return folder


def install(base, version="1.1", **of):
    return Releases(base).install(*checked(targets(version, **of), version))


def names(base):
    return sorted(path.name for path in (base / "releases").iterdir())


def test_a_release_runs_from_where_it_was_put(base):
    folder = install(base)
    assert folder == base / "releases/1.1"
    done = subprocess.run([folder / "bin/roadside"], capture_output=True, text=True, check=True)
    assert done.stdout == "1.1\n"


def test_it_is_whole_and_has_its_units_its_parts_list_and_compiled_code(base):
    folder = install(base)
    assert (folder / "COMPLETE").exists()
    assert os.access(folder / "systemd/install.sh", os.X_OK)
    assert json.loads((folder / "sbom.cdx.json").read_bytes())["bomFormat"] == "CycloneDX"
    assert list((folder / "lib/agent/__pycache__").glob("cli.*.pyc"))
    assert not (folder / "wheels").exists()
    assert Releases(base).present == "1.0"


def test_the_switcher_takes_it(base):
    install(base)
    switch = [sys.executable, "-I", SWITCH, "--base", base, "--proof", base / "proof.json"]
    said = subprocess.run([*switch, "try", "1.1"], capture_output=True, text=True, check=True).stdout
    assert "1.1 is on trial" in said
    assert Releases(base).in_use() == {"1.0", "1.1"}


def test_what_an_interrupted_installation_left_is_removed_and_built_again(base):
    for left in ("1.1/lib", "0.9/lib"):
        (base / "releases" / left).mkdir(parents=True)
        (base / "releases" / left / "half").touch()
    folder = install(base)
    assert names(base) == ["1.0", "1.1"]
    assert not (folder / "lib/half").exists()


def test_a_release_that_is_there_already_stays_as_it_is(base):
    folder = install(base)
    (folder / "mark").touch()
    install(base)
    assert (folder / "mark").exists()


def test_a_release_that_was_given_up_and_made_anew_under_its_old_number_replaces_it(base):
    folder = install(base)
    install(base, more={"other.py": "x = 2\n"})
    assert (folder / "lib/other.py").read_text() == "x = 2\n"


def test_a_release_in_use_is_never_replaced_by_one_of_the_same_number(base):
    install(base)
    (base / "previous").symlink_to("releases/1.1")
    with pytest.raises(InstallError, match="is in use here"):
        install(base, more={"other.py": "x = 2\n"})
    assert install(base) == base / "releases/1.1"


def test_without_room_nothing_is_begun(base, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=31 << 20))
    with pytest.raises(InstallError, match="31 MiB are free, and 33 MiB are needed"):
        install(base)
    assert names(base) == ["1.0"]


@pytest.mark.parametrize("name", ["../out.py", "/etc/out.py", "a/../../out.py"])
def test_nothing_is_written_outside_of_its_folder(base, name):
    with pytest.raises(InstallError, match="leads out of its folder"):
        install(base, more={name: "x = 1\n"})
    assert not (base / "releases/1.1/COMPLETE").exists()


def test_scripts_and_headers_of_wheels_are_left_out_and_their_libraries_are_not(base):
    folder = install(base, more={"other-3.data/scripts/run": "", "other-3.data/platlib/inside.py": "y = 1\n"})
    assert (folder / "lib/inside.py").exists()
    assert not list(folder.rglob("run"))


def test_a_file_that_changed_after_it_was_checked_is_not_believed(base):
    release, file = checked(targets())
    offset, _, _ = release.files["systemd/roadside.service"]
    file.seek(offset)
    file.write(b"#!")
    with pytest.raises(InstallError, match=r"systemd/roadside.service: has changed since it was checked"):
        Releases(base).install(release, file)
    assert names(base) == ["1.0"]


def test_of_old_releases_two_are_kept_beside_those_in_use(base):
    for version in ("0.2", "0.10", "0.9", "0.8"):
        install(base, version)
    (base / "previous").symlink_to("releases/0.2")
    assert Releases(base).prune() == ["0.8"]
    assert names(base) == ["0.10", "0.2", "0.9", "1.0"]
    assert Releases(base).prune() == []


def test_neither_side_of_a_trial_is_ever_removed(base):
    for version in ("0.7", "0.8", "0.9", "1.1"):
        install(base, version)
    (base / "trial.json").write_text(json.dumps({"from": "0.7", "to": "1.1"}))
    assert Releases(base).prune() == []


def test_other_units_are_noticed(base):
    folder = install(base)
    releases = Releases(base)
    assert releases.other_units(folder)
    shutil.copytree(folder / "systemd", base / "releases/1.0/systemd")
    assert not releases.other_units(folder)
