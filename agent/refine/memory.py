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
    match memory:
        case {
            "boot": str(boot),
            "heard": (int() | None) as heard,
            "waiting": int(waiting),
            "warm": int(warm),
            "alarms": list(alarms),
        }:
            return Memory(boot, Times(heard, waiting, warm), dict(_raised(alarm) for alarm in alarms))
    raise ValueError(f"not the memory of a refiner: {memory!r}")


def _raised(alarm: object) -> tuple[Name, Raised]:
    match alarm:
        case {
            "alarm": str(name),
            "quantity": str(quantity),
            "id": str(id_),
            "value": (bool() | int() | float() | str() | None) as value,
            "test": bool(test),
        }:
            return Name(name, quantity), Raised(id_, value, test)
    raise ValueError(f"not an alarm in the memory of a refiner: {alarm!r}")
