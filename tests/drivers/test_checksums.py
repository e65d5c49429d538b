import pytest

from drivers.checksums import crc16_ccitt, crc16_modbus, crc16_sdi12, sum8, sum16, xor8


def test_the_catalogues_check_value_of_crc_16_modbus():
    assert crc16_modbus(b"123456789") == 0x4B37


def test_a_frame_with_its_crc_leaves_nothing():
    assert crc16_modbus(bytes.fromhex("01 04 00 00 00 02 71 CB")) == 0


def test_sums_wrap_at_their_width():
    assert sum8(b"\xff\x03\x9d") == 0x9F
    assert sum16(b"\xff" * 258) == 258 * 255 - 65536
    assert sum8(b"") == sum16(b"") == 0


def test_xor_of_an_nmea_sentence():
    assert xor8(b"GPZDA,202640.000,13,04,2015,,") == 0x54
    assert xor8(b"") == 0


def test_crc16_ccitt_of_the_davis_manual():
    assert crc16_ccitt(bytes.fromhex("C6 CE A2 03")) == 0xE2B4
    assert crc16_ccitt(bytes.fromhex("C6 CE A2 03 E2 B4")) == 0


@pytest.mark.parametrize("text", [b"0r3Kid", b"0r5Kcd", b"0rBVT", b"0r2Gje", b"0r0Kld", b"0r1Goe"])
def test_crc16_sdi12_of_the_vaisala_manuals(text):
    assert crc16_sdi12(text[:-3]) == text[-3:]
