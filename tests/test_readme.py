"""What the README shows is true: its configuration is valid, and its driver works."""

import re
from pathlib import Path

import pytest

from agent.cli import COMMANDS
from agent.config.load import load
from drivers.contract import Fault, FaultKind, Measurement

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code(language):
    """Return the first block of a language."""
    return re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)[1]


def test_the_configuration_is_valid():
    config = load(code("toml"))
    assert [rule.name for rule in config.devices["level-1"].alarms] == ["flood"]


def test_the_driver_reads_its_frames_and_counts_noise_as_faults():
    module = {"__name__": "acme_r3"}
    exec(compile(code("python"), "README.md", "exec"), module)  # noqa: S102 - it is ours
    driver = module["DRIVER"]
    decoder = driver.make(driver.settings())

    assert decoder.feed(b"\x00R012R0") == [Fault(FaultKind.GARBAGE, 0), Measurement("rain", 1.2)]


def test_every_command_is_in_the_table():
    assert [name for name in COMMANDS if f"`roadside {name}" not in README] == []


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_into_the_project_leads_somewhere(link):
    assert link.startswith("https://") or (ROOT / link).exists()


@pytest.mark.parametrize("path", re.findall(r"`((?:agent|drivers|hil|docs|tests)/[\w./-]*)`", README))
def test_every_folder_and_file_that_is_named_is_there(path):
    assert (ROOT / path).exists()
