"""docs/write-a-driver.md does what it says, line by line, for somebody who follows it."""

import json
import re
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack
from pathlib import Path

import pytest

from drivers import registry
from tests.brokers import mosquitto  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/write-a-driver.md").read_text("utf-8")
FILE = re.compile(r"^\*\*(?P<name>[\w.]+)\*\*\n\n```\w*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TERMINALS = re.compile(r"^```\n(python .*?)^```$", re.DOTALL | re.MULTILINE)
ARRIVED = "desk-1/noise-1/noise 53.6 dB"
WITHIN = 30.0  # seconds


@pytest.fixture
def desk(tmp_path):
    """A folder with the files of the page, and its driver installed as pip would: (folder, environment)."""
    for found in FILE.finditer(PAGE):
        (tmp_path / found["name"]).write_text(found["text"], "utf-8")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )
    points = project["entry-points"][registry.GROUP]
    lines = [f"[{registry.GROUP}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python").symlink_to(sys.executable)
    roadside = tools / "roadside"
    roadside.write_text(f'#!/bin/sh\nexec {sys.executable} -m agent "$@"\n', "utf-8")
    roadside.chmod(0o755)
    path = f"{tools}:/usr/sbin:/usr/bin:/bin"
    return tmp_path, {"PATH": path, "PYTHONPATH": f"{tmp_path}:{ROOT}", "LANG": "C.UTF-8"}


def test_each_command_prints_what_the_page_says(desk):
    folder, environment = desk
    for block in CONSOLE.findall(PAGE):
        said = ""
        for command in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
            done = subprocess.run(  # a page is for a shell
                ["/bin/sh", "-c", f"{command} 2>&1"],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            said += f"$ {command}\n{done.stdout}"
        assert said == block


def test_the_cabinet_runs(desk, mosquitto):  # noqa: F811 - the fixture
    folder, environment = desk
    assert f"`{ARRIVED}`" in PAGE
    (terminals,) = TERMINALS.findall(PAGE)
    broker = mosquitto()
    synchronised = folder / "root/run/systemd/timesync/synchronized"  # or telemetry waits for the clock
    synchronised.parent.mkdir(parents=True)
    synchronised.touch()
    config = folder / "gateway.toml"
    config.write_text(config.read_text("utf-8").replace(":1883", f":{broker.port}"), "utf-8")
    heard = folder / "heard"
    with ExitStack() as stack:
        for line in terminals.splitlines():
            words = line.split()
            if words[1] == "listen":
                words += ["--broker", broker.url]
            output = stack.enter_context((heard if words[1] == "listen" else folder / "other").open("w"))
            process = subprocess.Popen(words, cwd=folder, env=environment | {"PYTHONUNBUFFERED": "1"}, stdout=output)
            stack.callback(process.wait, WITHIN)
            stack.callback(process.send_signal, signal.SIGTERM)
        until(lambda: ARRIVED in heard.read_text("utf-8"))
        status = subprocess.run(
            ["roadside", "status", "--root", "root", "--json"],
            cwd=folder,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert json.loads(status.stdout)["devices"]["noise-1"]["state"] == "ok"


def until(condition):
    end = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)


def test_every_link_of_the_page_leads_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


def test_every_file_that_is_named_is_there():
    for path in re.findall(r"`((?:agent|drivers|hil|docs|tests)/[\w./-]*)`", PAGE):
        assert (ROOT / path).exists() or "acme" in path, path
