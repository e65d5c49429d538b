"""RIG.toml: which gateway, which agent, what hangs on which wire and pin, and what cannot be done there."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path  # noqa: TC003 - pydantic wants the type itself
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hil.cabinet import ON_PINS, ON_WIRES
from hil.rigs.base import Capability, RigError

Kind = Literal["sim", "container", "vm", "vm-arm64", "bench"]
Seconds = Annotated[float, Field(gt=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gateway(_Table):
    """`[rig]`: what kind of rig, whose gateway, and what nobody has built there."""

    kind: Kind = "sim"
    gateway: str = "rig-0001"
    cabinet: str = ""  # a file beside this one that has the `[devices]`, so that rigs can share them
    cannot: dict[Capability, str] = {}  # with the reason, which is printed with the tests that are skipped for it


class Program(_Table):
    """`[agent]`: how the agent is started, and what it promises.

    In `command`, `after`, `settings` and the values of `files`, {python}, {here} (the description's folder), {root},
    {gateway}, {broker} (an mqtt URL), {host} and {port} are filled in.
    """

    command: Annotated[list[str], Field(min_length=1)]
    setting: list[str] = []  # how one setting is given on the command line, of {key} and {value}
    settings: dict[str, str] = {}  # given at each start; those of a test's marker `settings` are added
    after: list[str] = []  # run when the agent has died, as ExecStopPost= is
    environment: dict[str, str] = {}
    unit: str = ""  # the service it is where there is a real systemd; `command` then stands in for its ExecStart=
    install: str = "hil.install:install"  # MODULE:FUNCTION that puts it below the root folder of such a machine
    files: dict[str, str] = {}  # by their path there, which file of this machine is put in place
    notifies: bool = True  # says READY=1 and WATCHDOG=1 to its service manager (sd_notify(3))
    watchdog: Seconds = 4.0
    stops_within: Seconds = 5.0
    wire: Literal["roadside", "plain"] = "roadside"  # speaks as docs/wire.md says, or in its own way
    memory: str = ""  # folder below the root that is lost with the power
    card: str = ""  # folder below the root that is on the card
    clock_mark: str = "run/systemd/timesync/synchronized"  # what systemd-timesyncd touches when it has set the clock
    loses: Seconds = (
        1.5  # seconds before a power cut of which telemetry may be lost: the declared window, and some slack
    )


class Description(_Table):
    """A whole RIG.toml. `path` is where it was read."""

    rig: Gateway = Gateway()
    agent: Program
    devices: dict[str, dict[str, Any]] = {}
    bench: dict[str, Any] = {}  # of a rig of that kind: hil/rigs/bench/description.py
    path: Path

    @property
    def plan(self) -> Path:
        """The file that says what hangs where."""
        return self.path.with_name(self.rig.cabinet) if self.rig.cabinet else self.path

    @model_validator(mode="after")
    def _known(self) -> Description:
        for name, entry in self.devices.items():
            _check_device(name, entry)
        return self


class _DeviceError(ValueError):
    def __init__(self, message: str, *where: str) -> None:
        super().__init__(message)
        self.where = where


def _check_device(name: str, entry: dict[str, Any]) -> None:
    models = {**ON_WIRES, **ON_PINS}
    model = entry.get("model")
    if model not in models:
        near = get_close_matches(str(model), models, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(models))}"
        raise _DeviceError(f"{model!r} is no model of a device; {hint}", "devices", name, "model")
    needs = "pin" if model in ON_PINS else "port"
    if needs not in entry:
        raise _DeviceError(f"a {model} hangs on a {needs}, and none is given", "devices", name)


def read(path: Path) -> Description:
    """Read a description; raises RigError, whose message has a line `FILE:LINE: what` for each mistake."""
    text, fields = _parsed(path, "--rig takes a name of the project's rigs, or such a file")
    texts = {path: text}
    plan = path
    if isinstance(fields.get("rig"), dict) and isinstance(fields["rig"].get("cabinet"), str):
        plan = path.with_name(fields["rig"]["cabinet"])
        texts[plan], shared = _parsed(plan, "rig.cabinet names the file that has the devices")
        fields["devices"] = shared.get("devices", {})
    try:
        return Description.model_validate({**fields, "path": path})
    except ValidationError as error:
        lines = []
        for mistake in error.errors():
            cause = mistake.get("ctx", {}).get("error")
            where = cause.where if isinstance(cause, _DeviceError) else tuple(map(str, mistake["loc"]))
            what = str(cause) if isinstance(cause, _DeviceError) else mistake["msg"]
            file = plan if where[:1] == ("devices",) else path
            lines.append(f"{file}:{line_of(texts[file], where)}: {'.'.join(where)}: {what}")
        raise RigError("\n".join(lines)) from None


def _parsed(path: Path, hint: str) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise RigError(f"{path}: {error.strerror}: {hint}") from error
    except tomllib.TOMLDecodeError as error:
        raise RigError(f"{path}: {error}") from error


def line_of(text: str, where: tuple[str, ...]) -> int:
    """Return the number of the line on which the value at a path begins, or the nearest table around it."""
    for length in range(len(where), 0, -1):
        if (found := _begins(text.splitlines(), where[:length])) is not None:
            return found
    return 1


def _begins(lines: list[str], where: tuple[str, ...]) -> int | None:
    """Read ever more lines until the path is there. What no whole document ends with goes on in the next line."""
    begins = 1
    for number in range(1, len(lines) + 1):
        try:
            fields: Any = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue
        for key in where:
            fields = fields.get(key) if isinstance(fields, dict) else None
        if fields is not None:
            return begins
        begins = number + 1
    return None
