"""Finding a profile's values in the data of a reply."""

from math import isfinite
from struct import Struct
from typing import NamedTuple

from drivers.contract import Measurement, Reason
from drivers.modbus.frames import OF_BITS
from drivers.modbus.profile import Profile, Value

STRUCTS = {"u16": Struct(">H"), "s16": Struct(">h"), "u32": Struct(">I"), "s32": Struct(">i"), "f32": Struct(">f")}
WORD = 2  # bytes
DIGITS = 10  # of a number with a scale: enough for any 32 bits, and no 239.3000000000003
FLOAT_DIGITS = 7  # all that single precision has
LARGEST = 1e9  # nothing at a roadside measures more in its unit: the words of the number are swapped, or it is none


class Place(NamedTuple):
    """Where in the data of a reply a value is."""

    quantity: str
    value: Value
    position: int  # bytes from the first; of a bit, bits


class Plan:
    """What is to be found in replies of one shape."""

    def __init__(self, profile: Profile, first: int, count: int) -> None:
        span = range(first, first + count)
        bits = profile.function in OF_BITS
        self._low_first = profile.words == "low first"
        self._health: tuple[int, tuple[int, ...]] | None = None
        if profile.health is not None and profile.health.register in span:
            self._health = (WORD * (profile.health.register - first), profile.health.bad)
        self._places = tuple(
            Place(quantity, value, (1 if bits else WORD) * (value.register - first))
            for quantity, value in profile.values.items()
            if value.registers.start in span and value.registers[-1] in span
        )

    def read(self, data: bytes) -> list[Measurement]:
        """Return what a reply says."""
        if self._health is not None:
            position, bad = self._health
            if int.from_bytes(data[position : position + WORD], "big") in bad:
                return [Measurement(place.quantity, None, Reason.INVALID) for place in self._places]
        return [self._measured(place, data) for place in self._places]

    def _measured(self, place: Place, data: bytes) -> Measurement:
        quantity, value, at = place
        if value.type == "bit":
            return Measurement(quantity, is_set(data, at))
        if self._low_first and len(value.registers) > 1:
            (number,) = STRUCTS[value.type].unpack(data[at + 2 : at + 4] + data[at : at + 2])
        else:
            (number,) = STRUCTS[value.type].unpack_from(data, at)
        if number in value.invalid or not isfinite(number) or (value.type == "f32" and abs(number) > LARGEST):
            return Measurement(quantity, None, Reason.INVALID)
        if value.true is not None:
            return _state(quantity, number, value.true)
        if value.type != "f32" and value.scale == 1.0 and value.offset == 0.0:
            scaled: float = number
        else:
            digits = FLOAT_DIGITS if value.type == "f32" else DIGITS
            scaled = float(f"{number * value.scale + value.offset:.{digits}g}")
        if value.rails is not None and not value.rails[0] < scaled < value.rails[1]:
            return Measurement(quantity, None, Reason.OUT_OF_RANGE)
        return Measurement(quantity, scaled)


def _state(quantity: str, number: float, true: int) -> Measurement:
    if number in (true, 0):
        return Measurement(quantity, number == true)
    return Measurement(quantity, None, Reason.INVALID)


def is_set(data: bytes, bit: int) -> bool:
    """Return one bit of a reply: the first is the lowest of the first byte."""
    return bool(data[bit // 8] >> bit % 8 & 1)
