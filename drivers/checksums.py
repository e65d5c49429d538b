"""Checksums of the protocols of roadside devices: pure functions over bytes."""

from binascii import crc_hqx
from collections.abc import Iterator
from functools import reduce
from itertools import islice
from operator import xor
from struct import Struct


def sum8(data: bytes) -> int:
    """Return the sum of all bytes modulo 256."""
    return sum(data) & 0xFF


def sum16(data: bytes) -> int:
    """Return the sum of all bytes modulo 65536."""
    return sum(data) & 0xFFFF


def xor8(data: bytes) -> int:
    """Return all bytes exclusive-or'ed together (NMEA 0183)."""
    return reduce(xor, data, 0)


def _crc16_modbus_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


def _crc16_modbus_tables() -> Iterator[tuple[int, ...]]:
    """Yield what a byte does to the CRC when 0, 1, 2 ... other bytes follow it."""
    table = one_byte = tuple(map(_crc16_modbus_entry, range(256)))
    while True:
        yield table
        table = tuple(entry >> 8 ^ one_byte[entry & 0xFF] for entry in table)


_EIGHT = Struct("8B")
_1, _2, _3, _4, _5, _6, _7, _8 = islice(_crc16_modbus_tables(), 8)


def crc16_modbus(data: bytes) -> int:
    """Return the CRC-16 of Modbus RTU (reflected polynomial A001, start FFFF); it goes on the wire low byte first.

    Over a whole frame including its own CRC the result is 0. Source: Modbus over serial line V1.02, 6.2.2.
    """
    crc = 0xFFFF
    whole = len(data) & ~7  # eight bytes at once: a reply is long, and Python slow at each
    for a, b, c, d, e, f, g, h in _EIGHT.iter_unpack(data[:whole]):
        crc = _8[a ^ crc & 0xFF] ^ _7[b ^ crc >> 8] ^ _6[c] ^ _5[d] ^ _4[e] ^ _3[f] ^ _2[g] ^ _1[h]
    return _crc16_reflected(data[whole:], crc)


def _crc16_reflected(data: bytes, crc: int) -> int:
    for byte in data:
        crc = crc >> 8 ^ _1[(crc ^ byte) & 0xFF]
    return crc


def crc16_ccitt(data: bytes) -> int:
    """Return the CRC-16 of XMODEM and of Davis (polynomial 1021, start 0); it goes on the wire high byte first.

    Over a whole frame including its own CRC the result is 0. Source: Davis serial protocol 2.6.1, XII.
    """
    return crc_hqx(data, 0)


def crc16_sdi12(data: bytes) -> bytes:
    """Return the CRC of SDI-12 as the three printable characters that stand behind the data.

    It is that of Modbus but starts with 0. Source: SDI-12 1.3, 4.4.12; Vaisala uses it in WXT520, appendix C.
    """
    crc = _crc16_reflected(data, 0)
    return bytes(0x40 | crc >> shift & 0x3F for shift in (12, 6, 0))
