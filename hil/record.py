"""Turns a capture from the field into a scenario: a folder with a test that a person can read, and all that it needs.

level-1/
    level-1.txt     the capture, as it came
    gateway.toml    a gateway with that device
    rig.toml        where its line ends, and how the agent is started
    test_level_1.py plays the capture, and expects at the city what was read then
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from hil.recorded import CaptureError, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hil.recorded import Capture

PORT = "/dev/ttyUSB0"

GATEWAY = """\
# The gateway of the scenario: {device} alone, whose readings go up as they come.

[gateway]
id = "rig-0001"

[uplinks.city]
url = "mqtt://127.0.0.1:1883"

[journal]
commit_interval = "500 ms"
pack_within = "100 ms"
reserve = "0 B"

[ports.line]
path = "{port}"
line = "{line}"

[devices.{device}]
driver = "{driver}"
port = "line"
warm_up = "0 s"
"""

RIG = """\
# The rig of the scenario: at {port} hangs what plays the capture.

[rig]
cannot = {{ account = "nobody but the driver knows what the bytes of a capture mean" }}

[agent]
command = ["{{python}}", "-m", "agent", "run", "--config", "{{here}}/gateway.toml", "--root", "{{root}}"]
setting = ["--set", "{{key}}={{value}}"]
settings = {{ "gateway.id" = "{{gateway}}", "uplinks.city.url" = "{{broker}}" }}

[devices.{device}]
model = "recorded"
port = "{port}"
"""

TEST = '''\
"""{title}

{facts}
"""

from pathlib import Path

import pytest

from hil.recorded import read

CAPTURE = Path(__file__).with_name("{capture}")


@pytest.mark.needs("serial")
async def test_the_city_gets_what_{function}_was_recorded_to_say(rig):
    wanted = read(CAPTURE)
    await rig.device("{device}").becomes(capture=str(CAPTURE))
    await rig.until(
        lambda: not wanted.lacking((one.quantity, one.value) for one in rig.city.received("{device}")),
        rig.patience + wanted.pieces[-1].at,
    )
    await rig.agent.stop()
'''


class ScenarioError(Exception):
    """No scenario can be made; the message says why."""


def scenario(capture: Path, folder: Path) -> list[Path]:
    """Make a folder of a capture, and return its files; raises ScenarioError, also if it is there, and CaptureError."""
    played = read(capture)
    if not played.values:
        raise CaptureError(f"{capture}: holds no values that could be expected: `roadside decode` makes none of it")
    name = played.device.replace("-", "_")
    copy = f"{played.device}.txt"
    files = {
        copy: capture.read_text("utf-8"),
        "gateway.toml": GATEWAY.format(port=PORT, **_named(played)) + "".join(_settings(played)),
        "rig.toml": RIG.format(port=PORT, device=played.device),
        f"test_{name}.py": TEST.format(
            title=_title(played), facts="\n".join(_facts(played)), capture=copy, function=name, device=played.device
        ),
    }
    try:
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
    except FileExistsError as error:
        raise ScenarioError(f"{folder} is there already, and nothing is overwritten: name another folder") from error
    except OSError as error:
        raise ScenarioError(f"{folder}: {error.strerror}") from error
    return [folder / file for file in files]


def _named(capture: Capture) -> dict[str, str]:
    return {"device": capture.device, "driver": capture.driver, "line": capture.line or "9600 8N1"}


def _settings(capture: Capture) -> Iterator[str]:
    """Yield the driver's settings as lines of TOML; behind `--set` a text may go without its quotes."""
    for key, value in capture.settings.items():
        try:
            tomllib.loads(f"{key} = {value}")
        except tomllib.TOMLDecodeError:
            yield f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
        else:
            yield f"{key} = {value}\n"


def _title(capture: Capture) -> str:
    kind = capture.title or capture.driver
    when = f", recorded {capture.recorded}" if capture.recorded else ""
    return f"{capture.device} ({kind}){when}: the city gets what was read then.".replace('"""', "'''")


def _facts(capture: Capture) -> Iterator[str]:
    """Yield what a reader wants to know of the capture: how long it is, and from where to where each quantity goes."""
    size = sum(len(piece.data) for piece in capture.said)
    lasts = capture.pieces[-1].at - capture.pieces[0].at
    yield f"The capture lasts {lasts:.1f} s and has {size} bytes of the device. Read of them were:"
    yield ""
    for quantity in dict.fromkeys(name for name, _ in capture.values):
        values = capture.of(quantity)
        shown = f"{len(values)} values, the first {values[0]!r}, the last {values[-1]!r}"
        yield f"    {quantity}: {shown if len(values) > 1 else repr(values[0])}"
    if capture.missing:
        yield ""
        yield f"Whoever watched was too slow for {capture.missing} entries: where they are missing, frames may be cut."
