"""What a refiner must know after a restart, as JSON can carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.refine.alarms import Name, Raised
from agent.refine.presence import Times

if TYPE_CHECKING:
    from collections.abc import Mapping


class Memory(NamedTuple):
    """The memory of one device."""

    boot: str  # the boot that `times` belongs to
    times: Times
    raised: dict[Name, Raised]


def to_json(memory: Memory) -> dict[str, object]:
    """Return plain dicts, lists and values."""
    return {
        "boot": memory.boot,
        **memory.times._asdict(),
        "alarms": [{**name._asdict(), **raised._asdict()} for name, raised in memory.raised.items()],
    }


def from_json(memory: Mapping[str, object]) -> Memory:
    """Read back what `to_json` returned; raises ValueError if this is something else."""
    try:
        return Memory(
            boot=_str(memory["boot"]),
            times=Times(
                heard=None if memory["heard"] is None else _int(memory["heard"]),
                waiting=_int(memory["waiting"]),
                warm=_int(memory["warm"]),
            ),
            raised=dict(_raised(alarm) for alarm in _list(memory["alarms"])),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the memory of a refiner: {error!r}") from error


def _raised(alarm: object) -> tuple[Name, Raised]:
    if not isinstance(alarm, dict):
        raise TypeError(alarm)
    value = alarm["value"]
    if value is not None and not isinstance(value, bool | int | float | str):
        raise TypeError(value)
    return Name(_str(alarm["alarm"]), _str(alarm["quantity"])), Raised(_str(alarm["id"]), value)


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value
