"""One question to a device whose line a decoder can read: the answer is what the decoder makes of what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.contract import Answer, Ask, Fault, FaultKind, Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from drivers.contract import Decoder, Item


def ask(
    request: bytes,
    decoder: Callable[[], Decoder],
    *,
    within: float,
    empty: bytes | None = None,
) -> Generator[Ask, Answer | None, list[Item]]:
    """Be a part of a poll, and return all that was measured or wrong: `items = yield from` this.

    A measurement, a refusal, or the answer `empty`, which says that there is nothing to tell, ends the waiting.
    `within` is in seconds from the sending of the request to the last byte of the answer. The decoder must take the
    request itself, which some adapters echo, for what it is.
    """
    last = b""
    items: list[Item] = []

    def find(heard: bytes) -> Answer | None:
        nonlocal last, items
        last, items = heard, decoder().feed(heard)
        answered = any(map(_answers, items)) or (empty is not None and empty in heard)
        return Answer(b"") if answered else None

    answer = yield Ask(request, find, within)
    if answer is not None:
        return items
    whole = decoder()
    return [*whole.feed(last), *whole.end()] or [Fault(FaultKind.NO_REPLY, 0)]


def refused(items: list[Item]) -> bool:
    """Tell whether the device refused the request."""
    return any(isinstance(item, Fault) and item.kind is FaultKind.REFUSED for item in items)


def _answers(item: Item) -> bool:
    return isinstance(item, Measurement) or refused([item])
