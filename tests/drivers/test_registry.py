import dataclasses
import subprocess
import sys
import typing

import pytest

from drivers import registry
from drivers.contract import Driver, Help, InputDriver, OutputDriver, RangingDriver
from drivers.registry import BrokenDriverError, UnknownDriverError


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Install what a third party might: a distribution with entry points and their module."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(package, entry_points, source=""):
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = "\n".join(f"{name} = {target}" for name, target in entry_points.items())
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{lines}\n")
        (tmp_path / f"{package}.py").write_text(source)

    yield install
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


GOOD = """
from dataclasses import dataclass, replace
from drivers.devices.plantower import DRIVER
DRIVER = replace(DRIVER, name="dust")
NAMELESS = replace(DRIVER, name="other")
NUMBER = 7
"""


@pytest.mark.parametrize("name", sorted(registry.TABLE))
def test_each_driver_of_the_table(name):
    driver = registry.load(name)
    assert driver.name == name
    assert driver.title
    hints = typing.get_type_hints(driver.settings, include_extras=True)
    for field in dataclasses.fields(driver.settings):
        assert field.kw_only
        assert any(isinstance(hint, Help) for hint in typing.get_args(hints[field.name])), field.name
    assert ("pin" in hints) == isinstance(driver, InputDriver | OutputDriver)
    assert ({"trigger", "echo"} <= hints.keys()) == isinstance(driver, RangingDriver)
    assert ("pull" in hints) == isinstance(driver, InputDriver)


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(UnknownDriverError, match=r"^'plantowr' is not a driver; did you mean 'plantower'\?$") as caught:
        registry.load("plantowr")
    assert caught.value.nearest == ["plantower"]


def test_a_name_like_no_other():
    with pytest.raises(UnknownDriverError, match=r"^'xyzzy' is not a driver$"):
        registry.load("xyzzy")


def test_an_added_driver_is_there(added):
    added("stranger", {"dust": "stranger:DRIVER"}, GOOD)
    assert "dust" in registry.names()
    assert isinstance(registry.load("dust"), Driver)


@pytest.mark.parametrize(
    ("target", "source", "said"),
    [
        ("stranger:DRIVER", "1 / 0", "ZeroDivisionError"),
        ("stranger:DRIVER", "import nowhere_to_be_found", "nowhere_to_be_found"),
        ("stranger:DRIVER", "def", "SyntaxError"),
        ("stranger:DRIVER", "", "AttributeError"),
        ("missing_module:DRIVER", "", "ModuleNotFoundError"),
        ("stranger:NUMBER", GOOD, "int is none of"),
        ("stranger:NAMELESS", GOOD, "it calls itself 'other'"),
    ],
)
def test_a_broken_driver_does_not_break_the_others(added, target, source, said):
    added("stranger", {"dust": target, "mud": "stranger:DRIVER"}, source)
    with pytest.raises(BrokenDriverError, match=said) as caught:
        registry.load("dust")
    assert caught.value.name == "dust"
    assert registry.load("plantower").name == "plantower"
    assert {"dust", "mud", "plantower"} <= set(registry.names())


def test_a_name_offered_twice_is_refused(added):
    added("stranger", {"dust": "stranger:DRIVER"}, GOOD)
    added("other", {"dust": "other:DRIVER"}, GOOD)
    with pytest.raises(BrokenDriverError, match="two packages offer it"):
        registry.load("dust")


def test_an_added_driver_does_not_take_the_place_of_our_own(added):
    added("stranger", {"plantower": "stranger:DRIVER"}, "1 / 0")
    assert registry.load("plantower").title.startswith("Plantower")


def test_naming_the_drivers_loads_none():
    code = "import sys; from drivers import registry; registry.names(); print('drivers.devices.nmea' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
