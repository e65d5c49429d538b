"""Bad bytes on a wire are counted and reported, never become a reading, and disturb no other device."""

from hil.devices.modbus import crc
from hil.devices.talker import Ailment
from tests.system.gateway import device_counts, device_is


async def test_a_device_that_speaks_rubbish_is_reported_until_it_speaks_sense(gateway):
    air, level = gateway.cabinet.devices["air-1"], gateway.cabinet.devices["level-1"]
    await gateway.well("air-1", "level-1")
    air.ailment, level.ailment = Ailment.TRUNCATED, Ailment.CHECKSUM
    await gateway.tells(device_counts("level-1", "checksum"), log="bad_data device=level-1 fault=checksum")
    await gateway.tells(device_counts("air-1", "checksum"), log="bad_data device=air-1 fault=checksum")
    air.ailment = Ailment.GARBAGE
    await gateway.tells(device_counts("air-1", "garbage"), log="bad_data device=air-1 fault=garbage")
    await gateway.tells(device_is("air-1", "silent"), log="alarm_raised device=air-1 alarm=silent")
    await gateway.go_on("meter-1")
    air.ailment = level.ailment = None
    await gateway.tells(device_is("air-1", "ok"), log="alarm_cleared device=air-1 alarm=silent")
    await gateway.well("level-1")
    await gateway.loses_nothing()


async def test_another_meter_that_answers_in_place_of_ours_is_reported_until_ours_answers(gateway):
    meter, wire = gateway.cabinet.devices["meter-1"], gateway.wire("meter-1")
    reply = bytes([2, 4, 4, 0x43, 0x66, 0x33, 0x33])
    await gateway.well("meter-1")
    meter.ailment = Ailment.SILENT
    wire.listen(lambda _: meter.ailment and wire.write(reply + crc(reply)))
    await gateway.tells(device_counts("meter-1", "wrong_device"), log="bad_data device=meter-1 fault=wrong_device")
    await gateway.go_on("air-1", "level-1")
    meter.ailment = None
    await gateway.tells(device_is("meter-1", "ok"), log="alarm_cleared device=meter-1")
    await gateway.loses_nothing()


async def test_noise_between_good_frames_costs_none_of_them(gateway):
    await gateway.well("air-1", "level-1")
    for _ in range(5):
        before = len(gateway.cabinet.devices["air-1"].emitted)
        gateway.wire("air-1").write(b"\x42\x42\x4d\x00")
        await gateway.until(lambda n=before: len(gateway.cabinet.devices["air-1"].emitted) > n)
    await gateway.says(device_counts("air-1", "garbage"))
    await gateway.loses_nothing()
