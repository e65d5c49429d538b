"""Finding a profile's values in the data of a reply."""

from collections.abc import Callable
from decimal import Decimal
from struct import Struct
from typing import Any, NamedTuple

from drivers.contract import Measurement, Reason
from drivers.modbus.frames import OF_BITS
from drivers.modbus.profile import Profile, Value

STRUCTS = {"u16": Struct(">H"), "s16": Struct(">h"), "u32": Struct(">I"), "s32": Struct(">i"), "f32": Struct(">f")}
WORD = 2  # bytes
LARGEST = 1e9  # nothing at a roadside measures more in its unit: the words of the number are swapped, or it is none


class Place(NamedTuple):
    """Where in the data of a reply a value is, and all that takes time to find out about it."""

    quantity: str
    position: int  # bytes from the first; of a bit, bits
    unpack: Callable[..., tuple[Any, ...]] | None  # None for a bit
    swapped: bool  # the lower register comes first
    scale: float
    offset: float
    decimals: int | None  # of a whole number that is scaled; None if it is not, or floats
    floats: bool
    special: Value | None  # if some numbers have a meaning of their own


class Plan:
    """What is to be found in replies of one shape."""

    def __init__(self, profile: Profile, first: int, count: int) -> None:
        span = range(first, first + count)
        self._health: tuple[int, tuple[int, ...]] | None = None
        if profile.health is not None and profile.health.register in span:
            self._health = (WORD * (profile.health.register - first), profile.health.bad)
        self._places = tuple(
            _place(profile, quantity, value, first)
            for quantity, value in profile.values.items()
            if value.registers.start in span and value.registers[-1] in span
        )

    def read(self, data: bytes) -> list[Measurement]:
        """Return what a reply says."""
        if self._health is not None:
            position, bad = self._health
            if int.from_bytes(data[position : position + WORD], "big") in bad:
                return [Measurement(place.quantity, None, Reason.INVALID) for place in self._places]
        return [_measured(place, data) for place in self._places]


def _place(profile: Profile, quantity: str, value: Value, first: int) -> Place:
    if profile.function in OF_BITS:
        return Place(quantity, value.register - first, None, False, 1.0, 0.0, None, False, None)
    floats = value.type == "f32"
    scaled = (value.scale != 1.0 or value.offset != 0.0) and not floats
    return Place(
        quantity,
        WORD * (value.register - first),
        STRUCTS[value.type].unpack_from,
        profile.words == "low first" and len(value.registers) > 1,
        value.scale,
        value.offset,
        max(decimals(value.scale), decimals(value.offset)) if scaled else None,
        floats,
        value if value.invalid or value.true is not None or value.rails is not None else None,
    )


def decimals(number: float) -> int:
    """Return how many digits a number has behind its point: what it scales has no more, whatever floats make of it."""
    exponent = Decimal(str(number)).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _measured(place: Place, data: bytes) -> Measurement:
    quantity, at, unpack, swapped, scale, offset, digits, floats, special = place
    if unpack is None:
        return Measurement(quantity, is_set(data, at))
    (number,) = unpack(data[at + 2 : at + 4] + data[at : at + 2]) if swapped else unpack(data, at)
    value = number
    if floats:
        value = number * scale + offset
        if not -LARGEST < value < LARGEST:  # nor is it a number if that is not so
            return Measurement(quantity, None, Reason.INVALID)
        value = float(f"{value:.7g}")  # all that single precision has
    elif digits is not None:
        value = round(number * scale + offset, digits)
    return Measurement(quantity, value) if special is None else _judged(quantity, special, number, value)


def _judged(quantity: str, special: Value, number: float, value: float) -> Measurement:
    if number in special.invalid or (special.true is not None and number not in (special.true, 0)):
        return Measurement(quantity, None, Reason.INVALID)
    if special.true is not None:
        return Measurement(quantity, number == special.true)
    if special.rails is not None and not special.rails[0] < value < special.rails[1]:
        return Measurement(quantity, None, Reason.OUT_OF_RANGE)
    return Measurement(quantity, value)


def is_set(data: bytes, bit: int) -> bool:
    """Return one bit of a reply: the first is the lowest of the first byte."""
    return bool(data[bit // 8] >> bit % 8 & 1)
