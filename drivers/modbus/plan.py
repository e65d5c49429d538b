"""Finding a profile's values in the data of a reply."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from math import isnan
from operator import itemgetter
from struct import Struct
from typing import NamedTuple

from drivers.contract import Measurement, Reason
from drivers.modbus.frames import OF_BITS
from drivers.modbus.profile import Profile, Value

FORMS = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "f32": "f"}  # of `struct`
WORD = 2  # bytes
ROUNDED = "%.7g"  # all digits that single precision has
LARGEST = 1e9  # nothing at a roadside measures more in its unit: the words of the number are swapped, or it is none


class Place(NamedTuple):
    """A value in a reply, and all that takes time to find out about it."""

    quantity: str
    scale: float
    offset: float
    # Of a whole number that is scaled, whose scale and offset are then counted in its last digits: so many make one.
    # None if it is not scaled, or floats.
    last_digits: int | None
    floats: bool
    special: Value | None  # if some numbers have a meaning of their own


PLAIN_FLOAT = Place("", 1.0, 0.0, None, floats=True, special=None)


class Plan:
    """What is to be found in replies of one shape."""

    def __init__(self, profile: Profile, first: int, count: int) -> None:
        span = range(first, first + count)
        self._health: tuple[int, tuple[int, ...]] | None = None
        if profile.health is not None and profile.health.register in span:
            self._health = (WORD * (profile.health.register - first), profile.health.bad)
        found = {
            quantity: value
            for quantity, value in profile.values.items()
            if value.registers.start in span and value.registers[-1] in span
        }
        self._places = tuple(_place(quantity, value) for quantity, value in found.items())
        self._names = tuple(found)
        plain = all(_place("", value) == PLAIN_FLOAT for value in found.values())
        self._rounded = " ".join([ROUNDED] * len(found)) if plain else ""
        self._numbers = (_bits if profile.function in OF_BITS else _registers)(profile, found.values(), first)

    def read(self, data: bytes) -> list[Measurement]:
        """Return what a reply says."""
        if self._health is not None:
            position, bad = self._health
            if int.from_bytes(data[position : position + WORD], "big") in bad:
                return [Measurement(place.quantity, None, Reason.INVALID) for place in self._places]
        numbers = self._numbers(data)
        if self._rounded:  # as of most energy meters: a reply has many of them, and one after the other takes its time
            numbers = tuple(map(float, (self._rounded % numbers).split()))
            if min(numbers) > -LARGEST and max(numbers) < LARGEST and not any(map(isnan, numbers)):
                return list(map(Measurement, self._names, numbers))
        return list(map(_measured, self._places, numbers))


def _bits(_: Profile, values: Iterable[Value], first: int) -> Callable[[bytes], tuple[float, ...]]:
    """Return what takes bits out of the data of a reply."""
    places = [value.register - first for value in values]
    return lambda data: tuple(is_set(data, bit) for bit in places)


def _registers(profile: Profile, values: Iterable[Value], first: int) -> Callable[[bytes], tuple[float, ...]]:
    """Return what takes numbers out of the data of a reply: all of them at once, which is quick."""
    low_first = profile.words == "low first"
    positions: list[int] = []  # of the bytes of the numbers, the most significant first
    form = ">"
    for value in values:
        form += FORMS[value.type]
        for register in reversed(value.registers) if low_first else value.registers:
            at = WORD * (register - first)
            positions += (at, at + 1)
    unpack = Struct(form).unpack
    if not positions:
        return lambda _: ()
    gather = itemgetter(*positions)
    return lambda data: unpack(bytes(gather(data)))


def _place(quantity: str, value: Value) -> Place:
    floats = value.type == "f32"
    scaled = (value.scale != 1.0 or value.offset != 0.0) and not floats
    last_digits = 10 ** max(decimals(value.scale), decimals(value.offset)) if scaled else None
    return Place(
        quantity,
        round(value.scale * last_digits) if last_digits else value.scale,
        round(value.offset * last_digits) if last_digits else value.offset,
        last_digits,
        floats,
        value if value.invalid or value.true is not None or value.rails is not None else None,
    )


def decimals(number: float) -> int:
    """Return how many digits a number has behind its point: what it scales has no more, whatever floats make of it."""
    exponent = Decimal(str(number)).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _measured(place: Place, number: float) -> Measurement:
    quantity, scale, offset, last_digits, floats, special = place
    value = number
    if floats:
        value = number * scale + offset
        if not -LARGEST < value < LARGEST:  # nor is it a number if that is not so
            return Measurement(quantity, None, Reason.INVALID)
        value = float(ROUNDED % value)
    elif last_digits is not None:
        value = (number * scale + offset) / last_digits  # rounding would take Python longer than all the rest
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
