"""An installation is cut at each of its system calls: what runs is untouched, and the next one comes to its end.

strace ends it with SIGKILL at each call that makes, fills, syncs or removes anything, one run for each.
"""

import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from agent.updating.install import Releases
from tests.updating.releases import checked, targets

PROJECT = Path(__file__).parents[2]
CALLS = "openat,write,mkdir,rename,unlink,unlinkat,rmdir,chmod,fsync,sync"
INSTALL = """
import pickle, sys
from pathlib import Path
from agent.updating.install import Releases
Releases(Path(sys.argv[1])).install(*pickle.loads(Path(sys.argv[2]).read_bytes()))
"""
MANY = 30  # calls that an installation takes at the least

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


class Gateway:
    """Runs 1.0, has a half-built 0.9 and a 1.1 of other contents, which is in no use: all of it has to go."""

    def __init__(self, folder, release):
        self.folder, self.base, self.release = folder, folder / "opt", release
        for version in ("0.9", "1.0", "1.1"):
            (self.base / "releases" / version / "lib").mkdir(parents=True)
            (self.base / "releases" / version / "lib/old.py").touch()
        for version in ("1.0", "1.1"):
            (self.base / "releases" / version / "COMPLETE").touch()
        (self.base / "current").symlink_to("releases/1.0")

    def install(self, *inject):
        """Install it under strace; return its calls in order, each with how many of its name it is."""
        log = self.folder / "strace"
        strace = ["strace", "-o", log, "-e", f"trace={CALLS}", *inject]
        command = [sys.executable, "-B", "-c", INSTALL, self.base, self.release]
        subprocess.run([*strace, *command], cwd=PROJECT, capture_output=True, check=False)
        return log.read_text()

    def contents(self):
        files = (path for path in (self.base / "releases").rglob("*") if path.is_file())
        # Compiled code bears the time at which its source was written.
        return {str(path.relative_to(self.base)): path.suffix != ".pyc" and path.read_bytes() for path in files}


def changes(told):
    counted = Counter()
    for line in told.splitlines():
        if found := re.match(r"(\w+)\(", line):
            counted[found[1]] += 1
            if found[1] != "openat" or "O_CREAT" in line:
                yield found[1], counted[found[1]]


def test_a_cut_leaves_what_runs_and_the_next_installation_comes_to_its_end(tmp_path):
    project = tmp_path / "project"
    (project / "systemd").mkdir(parents=True)
    (project / "systemd/install.sh").touch()
    release = tmp_path / "release"
    release.write_bytes(pickle.dumps(checked(targets(project=project))))
    whole = Gateway(tmp_path / "gateway", release)
    calls = list(changes(whole.install()))
    expected = whole.contents()
    shutil.rmtree(whole.folder)
    assert len(calls) >= MANY
    assert set(expected) == {name for name in expected if name.startswith(("releases/1.0/", "releases/1.1/"))}
    for name, number in calls:
        gateway = Gateway(tmp_path / "gateway", release)
        assert "killed by SIGKILL" in gateway.install("-e", f"inject={name}:signal=KILL:when={number}")
        assert (gateway.base / "current/COMPLETE").exists()
        left = {path: data for path, data in gateway.contents().items() if path.startswith("releases/1.1/")}
        if "releases/1.1/COMPLETE" in left and "releases/1.1/lib/old.py" not in left:
            assert gateway.contents() == expected, (name, number)
        Releases(gateway.base).install(*pickle.loads(release.read_bytes()))  # noqa: S301 - our own
        assert gateway.contents() == expected, (name, number)
        shutil.rmtree(gateway.folder)
