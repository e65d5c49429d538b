"""The raised alarms of one device: each has an id from raise to clear, whatever happens to the agent in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.readings import Acknowledgement, AlarmEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from drivers.contract import Value

SILENT = "silent"
STUCK = "stuck"


class Name(NamedTuple):
    """Which alarm of a device."""

    alarm: str
    quantity: str  # "" for an alarm of the device as a whole


class Raised(NamedTuple):
    """An alarm that stands."""

    id: str
    value: Value | None  # that raised it
    test: bool = False


class Alarms:
    """Turns "this alarm stands" and "it does not" into events: raise and clear alternate, and nothing is said twice."""

    def __init__(self, device: str, new_id: Callable[[], str], raised: dict[Name, Raised]) -> None:
        self._device = device
        self._new_id = new_id
        self.raised = raised
        self.testing = False  # what is raised now is a test

    def set(self, name: Name, *, stands: bool, at: int, value: Value | None = None) -> list[AlarmEvent]:
        """Return the event if this is news, else nothing."""
        if stands == (name in self.raised):
            return []
        if stands:
            one = self.raised[name] = Raised(self._new_id(), value, self.testing)
        else:
            one = self.raised.pop(name)
        return [AlarmEvent(self._device, name.alarm, at, one.id, stands, name.quantity, value, one.test)]

    def acknowledge(self, id_: str, at: int, by: str) -> Acknowledgement | None:
        """Return the record of somebody's having taken note of an alarm; None if none with that id stands."""
        for name, one in self.raised.items():
            if one.id == id_:
                return Acknowledgement(self._device, name.alarm, at, id_, by, name.quantity, one.test)
        return None

    def tests(self) -> list[Name]:
        """Return the raised alarms that are tests."""
        return [name for name, one in self.raised.items() if one.test]

    def strangers(self, known: Iterable[Name]) -> list[Name]:
        """Return the raised alarms that nothing could clear any more: their rule is gone from the configuration."""
        names = set(known)
        return [name for name in self.raised if name not in names]
