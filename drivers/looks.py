"""Looking at what a gateway may have or not, such as the signal of a wireless network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.contract import Measurement, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drivers.contract import Item, Value


class Looks:
    """Remembers what there was: what this gateway never had is not measured, and what is gone has no value."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def take(self, looks: Mapping[str, Callable[[], Value]]) -> list[Item]:
        """Return a measurement of each quantity; a look raises OSError, LookupError or ValueError if it sees none."""
        items: list[Item] = []
        for quantity, look in looks.items():
            try:
                value = look()
            except (OSError, LookupError, ValueError):
                if quantity in self._seen:
                    items.append(Measurement(quantity, None, Reason.NO_REPLY))
            else:
                self._seen.add(quantity)
                items.append(Measurement(quantity, value))
        return items
