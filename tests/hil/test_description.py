"""RIG.toml: what is wrong in it is said with file and line."""

import pytest

from hil.rigs.base import RigError
from hil.rigs.description import line_of, read

GOOD = """\
[rig]
gateway = "pole-7"
cannot = { power = "nobody has wired the relay" }

[agent]
command = ["agent"]

[devices.air-1]
model = "plantower"
port = "/dev/ttyAMA0"
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rig.toml"


def test_a_good_one_is_read(path):
    path.write_text(GOOD)
    assert read(path).rig.cannot == {"power": "nobody has wired the relay"}


@pytest.mark.parametrize(
    ("right", "wrong", "line", "says"),
    [
        ('gateway = "pole-7"', "gatway = 1", 2, "rig.gatway"),
        ("power =", "pwer =", 3, "pwer"),
        ('command = ["agent"]', "command = []", 6, "agent.command"),
        ('"plantower"', '"plantowr"', 9, "did you mean 'plantower'?"),
        ('"plantower"', '"teapot"', 9, "there are: a02yyuw"),
        ('port = "/dev/ttyAMA0"', "", 8, "hangs on a port"),
        ('port = "/dev/ttyAMA0"', "port = ", 10, "line 10"),
    ],
)
def test_a_mistake_is_told_with_its_line(path, right, wrong, line, says):
    path.write_text(GOOD.replace(right, wrong))
    with pytest.raises(RigError) as error:
        read(path)
    assert says in str(error.value)
    assert f"{path}:{line}: " in str(error.value) or f"line {line}" in str(error.value)


def test_a_value_of_several_lines_begins_on_its_first():
    assert line_of("a = 1\nb = [\n  1,\n  2,\n]\nc = 3\n", ("b",)) == 2
    assert line_of("a = 1\nb = [\n  1,\n  2,\n]\nc = 3\n", ("c",)) == 6


def test_a_file_that_is_not_there_says_what_is_expected(path):
    with pytest.raises(RigError, match="--rig takes"):
        read(path)


def test_rigs_may_share_their_devices_and_a_mistake_is_told_of_the_file_that_has_it(path):
    shared = path.with_name("cabinet.toml")
    head, devices = GOOD.partition("[devices")[0], GOOD[GOOD.index("[devices") :]
    path.write_text(head.replace('gateway = "pole-7"', 'gateway = "pole-7"\ncabinet = "cabinet.toml"'))
    shared.write_text(devices)
    assert read(path).devices["air-1"]["model"] == "plantower"
    assert read(path).plan == shared
    shared.write_text(devices.replace("plantower", "plantowr"))
    with pytest.raises(RigError, match="did you mean 'plantower'") as error:
        read(path)
    assert f"{shared}:2: " in str(error.value)
    shared.unlink()
    with pytest.raises(RigError, match=r"cabinet\.toml: .*: rig\.cabinet names"):
        read(path)
