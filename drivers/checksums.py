"""Checksums of the protocols of roadside devices: pure functions over bytes."""

from binascii import crc_hqx
from functools import reduce
from operator import xor


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


_CRC16_MODBUS = tuple(_crc16_modbus_entry(byte) for byte in range(256))
_LOW, _HIGH = bytes(entry & 0xFF for entry in _CRC16_MODBUS), bytes(entry >> 8 for entry in _CRC16_MODBUS)


def crc16_modbus(data: bytes) -> int:
    """Return the CRC-16 of Modbus RTU (reflected polynomial A001, start FFFF); it goes on the wire low byte first.

    Over a whole frame including its own CRC the result is 0. Source: Modbus over serial line V1.02, 6.2.2.
    """
    low = high = 0xFF  # in two halves: Python is quicker with small numbers
    for byte in data:
        index = low ^ byte
        low, high = high ^ _LOW[index], _HIGH[index]
    return high << 8 | low


def crc16_ccitt(data: bytes) -> int:
    """Return the CRC-16 of XMODEM and of Davis (polynomial 1021, start 0); it goes on the wire high byte first.

    Over a whole frame including its own CRC the result is 0. Source: Davis serial protocol 2.6.1, XII.
    """
    return crc_hqx(data, 0)


def crc16_sdi12(data: bytes) -> bytes:
    """Return the CRC of SDI-12 as the three printable characters that stand behind the data.

    It is that of Modbus but starts with 0. Source: SDI-12 1.3, 4.4.12; Vaisala uses it in WXT520, appendix C.
    """
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _CRC16_MODBUS[(crc ^ byte) & 0xFF]
    return bytes(0x40 | crc >> shift & 0x3F for shift in (12, 6, 0))
