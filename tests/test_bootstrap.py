"""Setting up on a machine that lacks something."""

import os
import subprocess
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).parent.parent / "bootstrap.sh"
NOBODY = 65534


def as_nobody(folder, **programs):
    """Run bootstrap.sh as an ordinary user whose PATH has these programs and the plain tools, nothing else."""
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    for name in ("dirname", "id", "uname", "cat", "sha256sum", "sh"):
        if name not in programs:
            (folder / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")
    folder.chmod(0o755)
    script = folder / "bootstrap.sh"
    script.write_text(BOOTSTRAP.read_text())
    script.chmod(0o755)
    for parent in folder.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o111)
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    return subprocess.run(
        ["/bin/sh", str(script), "demo"], env={"PATH": str(folder)}, capture_output=True, text=True, check=False, **user
    )


def test_without_the_right_to_install_it_names_the_one_command_and_stops(tmp_path):
    done = as_nobody(tmp_path, python3='case "$2" in *ensurepip*) exit 1;; esac')

    assert done.returncode == 1
    assert "sudo apt-get update && sudo apt-get install -y --no-install-recommends python3-venv" in done.stderr


@pytest.mark.parametrize("version", ["3.9.2"])
def test_a_python_that_is_too_old_is_named(tmp_path, version):
    done = as_nobody(tmp_path, python3=f'[ "$1" = --version ] && echo Python {version}; exit 1')

    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert version in done.stderr
