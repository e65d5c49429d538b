from pathlib import Path

import pytest

from agent.host.paths import Paths


def test_absolute_paths_move_below_the_root_and_relative_ones_stay() -> None:
    paths = Paths(Path("/rig"), {})
    assert paths.under("/dev/ttyAMA0") == Path("/rig/dev/ttyAMA0")
    assert paths.under(Path("secrets/password")) == Path("secrets/password")
    assert Paths(Path("/"), {}).under("/dev/ttyAMA0") == Path("/dev/ttyAMA0")


def test_without_systemd_the_usual_folders_are_used_below_the_root() -> None:
    paths = Paths(Path("/rig"), {})
    assert paths.state == Path("/rig/var/lib/roadside")
    assert paths.runtime == Path("/rig/run/roadside")
    assert paths.credentials is None


@pytest.mark.parametrize("root", ["/", "/rig"])
def test_the_folders_systemd_made_are_used_as_they_are(root: str) -> None:
    environment = {
        "STATE_DIRECTORY": "/var/lib/private/roadside:/var/lib/other",
        "RUNTIME_DIRECTORY": "/run/roadside",
        "CREDENTIALS_DIRECTORY": "/run/credentials/roadside.service",
    }
    paths = Paths(Path(root), environment)
    assert paths.state == Path("/var/lib/private/roadside")
    assert paths.runtime == Path("/run/roadside")
    assert paths.credentials == Path("/run/credentials/roadside.service")
