"""`[bench]` of a RIG.toml: where the far end and the gateway are, and what is wired between them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hil.rigs.base import RigError

Command = list[str]  # words; no shell is called here
Filled = Annotated[Command, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Switched(_Table):
    """Commands, run on this machine, that take something away and give it back, such as `uhubctl`."""

    off: Filled
    on: Filled


class Wire(_Table):
    """A serial line: the far end's port, and perhaps what pulls the gateway's plug."""

    port: str
    line: str = "9600 8N1"
    plug: Switched | None = None


class Bench(_Table):
    """The whole table."""

    far_end: Filled  # opens the stream to far_end.py
    gateway: Filled  # stands before each command that is run on the gateway, as root
    tunnel: Command = []  # while it runs, the gateway's broker_port leads to {port} here
    broker_port: int = 1883  # on the gateway's loopback, where the tunnel begins
    wires: dict[str, Wire] = {}  # by the gateway's port
    pins: dict[int, int] = {}  # the far end's pins by the gateway's, BCM numbers
    power: Switched | None = None
    relay: int | None = None  # in place of `power`: the far end's pin that is high while the gateway has power
    labgrid: str = (
        ""  # the place that is acquired meanwhile, and whose power is switched unless the two above are given
    )

    @model_validator(mode="after")
    def _one_supply(self) -> Bench:
        if self.power is not None and self.relay is not None:
            raise ValueError("power and relay are two ways to switch the same: give one")
        return self

    @property
    def supply(self) -> Switched | None:
        """Commands that switch the gateway's power, if any do."""
        if self.power is not None or not self.labgrid:
            return self.power
        command = ["labgrid-client", "-p", self.labgrid, "power"]
        return Switched(off=[*command, "off"], on=[*command, "on"])


def bench(fields: dict[str, Any], path: object) -> Bench:
    """Return the table; raises RigError, whose message has a line for each mistake."""
    try:
        return Bench.model_validate(fields)
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(['bench', *map(str, one['loc'])])}: {one['msg']}" for one in error.errors()]
        raise RigError("\n".join(lines)) from None
