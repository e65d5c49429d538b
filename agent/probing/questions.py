"""All that `roadside probe` ever sends: requests that read, and nothing else.

Whatever is at a port hears each of them, also a device that it is not for. So nothing is sent while something that
nobody knows speaks, the shortest questions come first, and the first good answer ends the asking.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from drivers import registry
from drivers.contract import BusOutputDriver, PollingDriver, SerialLine
from drivers.modbus import frames
from drivers.modbus.frames import READ_COILS, READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS, READING
from drivers.modbus.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Question(NamedTuple):
    """Bytes that make a device say something."""

    drivers: tuple[str, ...]  # whose devices answer
    data: bytes
    within: float  # seconds
    sign: bytes = b""  # what in the answer shows that it is the device although nothing is measured
    after: bytes = b""  # it is asked only if the answer to the one before it had this in it
    given: Mapping[str, str] = {}  # settings that a device needs which answers only when asked


QUESTIONS = (
    # OPS243-A, AN-010: "U?" tells the unit of speed. First, since other questions may read like commands to it.
    Question(("ops243",), b"U?", 0.5, sign=b'"Units"'),
    # WXT530 User Guide, "composite data message query with CRC": address 0, all messages.
    Question(("wxt53x",), b"0rBVT\r\n", 1.5),
    # Vantage manual, VI "wake", IX.1 "LOOP": one packet, and only if somebody woke up.
    Question(("vantage",), b"\n", 1.2),
    Question(("vantage",), b"LOOP 1\n", 4.0, after=b"\n\r"),
    # JSN-SR04T, "output mode": the trigger of one measurement.
    Question(("a02yyuw",), b"\x55", 0.3, given={"trigger": "1.0"}),
    # Winsen manuals, "read gas concentration".
    Question(("mhz19", "winsen"), bytes.fromhex("ff 01 86 00 00 00 00 00 79"), 1.0, given={"ask_every": "10.0"}),
    # Honeywell datasheet 32322550, table 4: "read particle measuring results".
    Question(("hpma115",), bytes.fromhex("68 01 04 93"), 1.2),
    # Sensirion SPS30 datasheet, 5.3: "read measured values"; one that was not started says so.
    Question(("sps30",), bytes.fromhex("7e 00 03 00 fc 7e"), 0.3),
)

# Function, first register and count, by which any Modbus device shows that it is there: with values, or an exception.
PRESENCE = ((READ_HOLDING_REGISTERS, 0, 1), (READ_INPUT_REGISTERS, 0, 2))


@cache
def profiles() -> Mapping[str, PollingDriver | BusOutputDriver]:
    """Return the Modbus drivers that have a profile of ours."""
    loaded = {name: registry.load(name) for name, target in registry.TABLE.items() if target.endswith(".toml")}
    return {name: one for name, one in loaded.items() if isinstance(one, PollingDriver | BusOutputDriver)}


@cache
def reads() -> frozenset[tuple[int, int, int]]:
    """Return function, first and count of all that a Modbus device may be asked for."""
    return frozenset({*PRESENCE, *(one for driver in profiles().values() for one in _reads(driver.profile))})


def _reads(profile: object) -> Iterator[tuple[int, int, int]]:
    if not isinstance(profile, Profile):
        return
    for group in profile.polls():
        yield profile.function, group.first, group.count
    if profile.channels is not None:
        yield from ((profile.function, profile.channels.first + index, 1) for index in range(profile.channels.count))
    if profile.outputs is not None:
        yield READ_COILS, profile.outputs.first, profile.outputs.count


def is_polite(data: bytes) -> bool:
    """Tell whether bytes may be sent: a question above, or a Modbus request to read what a profile reads."""
    if any(data == question.data for question in QUESTIONS):
        return True
    if len(data) != frames.FIXED_SIZE or data[0] not in frames.ADDRESSES or data[1] not in READING:
        return False
    asked = data[1], int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:6], "big")
    return asked in reads() and frames.request(data[0], *asked) == data


def modbus_lines() -> list[SerialLine]:
    """Return the line settings of Modbus devices, those of most profiles first."""
    usual = Counter(driver.line for driver in profiles().values())
    # That of the specification (Modbus over serial line V1.02, 2.5.1), and what makers take in its place.
    return list(
        dict.fromkeys([*(line for line, _ in usual.most_common()), SerialLine(19200), SerialLine(19200, 8, "E")])
    )
