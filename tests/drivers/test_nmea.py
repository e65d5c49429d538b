import pytest

from drivers.checksums import xor8
from drivers.contract import FaultKind, Reason, TimeFix
from drivers.devices.nmea import DRIVER, Settings
from drivers.sentences import NOISE_LIMIT
from tests.drivers.feeding import decode, faults, values

# Recorded from receivers (ntpsec/gpsd@46977fa, test/daemon/*.log).
GGA = b"$GNGGA,223745.00,3806.62964,N,12237.61382,W,2,12,0.54,83.1,M,-29.5,M,,0000*44\r\n"  # ublox-neo-m9n
RMC = b"$GNRMC,223745.00,A,3806.62964,N,12237.61382,W,0.040,,110720,,,D,V*0E\r\n"
SOUTH_EAST = b"$GPGGA,030719.000,3747.0873,S,17518.8938,E,1,08,1.1,59.9,M,23.7,M,,0000*7D\r\n"  # bu353s4
MOVING = b"$GPRMC,030719.000,A,3747.0873,S,17518.8938,E,0.69,181.39,311214,,,A*7D\r\n"
GGA_NO_FIX = b"$GPGGA,,,,,,0,,,,M,,M,,*66\r\n"  # telit-he910
RMC_NO_FIX = b"$GPRMC,,V,,,,,,,,,,N*53\r\n"
GGA_SIMULATED = b"$GPGGA,125106,3854.5087,N,07726.4523,W,8,10,2.0,268.8,M,-33.9,M,,*7F\r\n"  # GPSmap-76S
RMC_SIMULATED = b"$GPRMC,125106,V,3854.5087,N,07726.4523,W,0.0,0.0,241011,10.5,W,S*28\r\n"
BAD_DATE = b"$GPRMC,000231.099,A,4829.0005,N,00022.0015,E,0.15,212.28,2208-1,,,A*73\r\n"  # april6_2019
OTHERS = [
    b"$GNVTG,,T,,M,0.040,N,0.075,K,D*3E\r\n",
    b"$GPGSV,4,1,16,05,01,047,,10,29,224,,13,22,062,23,15,40,094,,1*65\r\n",
    b"$GNTXT,01,01,02,u-blox AG - www.u-blox.com*4E\r\n",
    b"$PMTK010,001*2E\r\n",
    b"$GPTXT,DEFAULT PVT CONFIGURATION*2A\r\n",
    b"$GPGSV,3,3,12,2,40,16,00,090,*72\r\n",  # malformed with a good checksum
]
WRONG_SUMS = [
    b"$GPGSV,3,3,11,24,51,098,,110,50,31,60,230,46*4B\r\n",  # characters lost; com-1289
    b"$GPGGA,005947.00,3715.6616,N,12157.6709,W,,11,0.8,86.0,M,-30.1,M,,*54\r\n",  # firefly-II
    b"$GPRMC,000344.03,A,4808.9992,N,4,02.3*05\r\n",  # two sentences merged; gp-320fw
    b"$GPN,00000.0000,E,0,00,0.0,,M,,M,,*5C\r\n",  # head lost
]
# Port opened at the wrong baud rate first (ublox-8.log), the last bytes of it.
WRONG_BAUD = b"\xb1\xc5\xc1\xb1\xc1\xc5\xb1\xc9\xc1\xc5\xdd\xb1\xc1\xc1\xb1\xc1\xc1\xa9\xdd\xc55)\xff"
UBX = bytes.fromhex("B562 0402 1A00 752D626C6F78206167202D207777772E752D626C6F782E636F6D 233C")  # ublox-aek-4t
UBX_WITH_DOLLAR = bytes.fromhex("B562 0402 0300 244100 0000")

POSITION = {"latitude": 38.110494, "longitude": -122.626897, "altitude": 83.1, "satellites": 12, "hdop": 0.54}

STANDING = {"speed": 0.021, "course": Reason.INVALID}


def decoder():
    return DRIVER.make(Settings())


def test_a_position():
    items = decode(decoder, GGA)
    assert values(items) == POSITION
    assert faults(items) == []


def test_south_is_negative():
    found = values(decode(decoder, SOUTH_EAST))
    assert (found["latitude"], found["longitude"]) == (-37.7847883, 175.3148967)


def test_speed_is_in_metres_a_second():
    assert values(decode(decoder, MOVING)) == {"speed": 0.355, "course": 181.39}


def test_who_stands_still_has_no_course():
    assert values(decode(decoder, RMC)) == STANDING


@pytest.mark.parametrize("sentence", [GGA_NO_FIX, RMC_NO_FIX, GGA_SIMULATED, RMC_SIMULATED])
def test_without_a_fix_there_is_no_value(sentence):
    found = values(decode(decoder, sentence))
    assert found
    assert set(found.values()) == {Reason.NO_FIX}


def test_a_senseless_date_does_not_spoil_the_speed():
    assert values(decode(decoder, BAD_DATE)) == {"speed": 0.077, "course": 212.28}


@pytest.mark.parametrize("sentence", OTHERS)
def test_other_sentences_are_passed_over(sentence):
    assert decode(decoder, sentence) == []


@pytest.mark.parametrize("sentence", WRONG_SUMS)
def test_a_wrong_sum_is_a_fault(sentence):
    assert faults(decode(decoder, sentence)) == [(FaultKind.CHECKSUM, 0)]


def test_a_sentence_without_a_sum_is_not_believed():
    assert faults(decode(decoder, b"$GPRMC,,V,,,,,,,,,,N\r\n")) == [(FaultKind.MALFORMED, 0)]


def test_a_cut_sentence_does_not_take_the_next_one_with_it():
    items = decode(decoder, GGA[:30] + GGA)
    assert faults(items) == [(FaultKind.TRUNCATED, 0)]
    assert values(items) == POSITION


def test_bytes_of_a_wrong_baud_rate_are_noise():
    items = decode(decoder, WRONG_BAUD + GGA)
    assert faults(items) == [(FaultKind.GARBAGE, 0)]
    assert values(items) == POSITION


@pytest.mark.parametrize("binary", [UBX, UBX_WITH_DOLLAR, UBX + UBX, UBX[:20]])
def test_ubx_between_sentences_is_no_fault(binary):
    items = decode(decoder, RMC + binary + GGA)
    assert faults(items) == []
    assert values(items) == {**STANDING, **POSITION}


def test_noise_in_front_of_ubx_is_still_noise():
    assert faults(decode(decoder, WRONG_BAUD + UBX + GGA)) == [(FaultKind.GARBAGE, 0)]


def test_a_receiver_that_only_speaks_ubx_is_found_out():
    items = decoder().feed(UBX * 500)
    assert faults(items)[0] == (FaultKind.GARBAGE, 0)
    assert len(items) == len(UBX) * 500 // NOISE_LIMIT
    assert "UBX" in items[0].detail


def test_a_sentence_that_never_ends_is_given_up():
    items = decode(decoder, b"$GPGGA" + b"," * 200 + GGA)
    assert faults(items) == [(FaultKind.GARBAGE, 0)]
    assert values(items) == POSITION


@pytest.mark.parametrize(
    ("sentence", "utc"),
    [(RMC, 1_594_507_065.0), (MOVING, 1_419_995_239.0)],
)
def test_a_fix_says_the_time_of_day_and_how_well(sentence, utc):
    [fix] = [item for item in decode(decoder, sentence) if isinstance(item, TimeFix)]
    assert (fix.utc, fix.uncertainty) == (utc, 1.0)


@pytest.mark.parametrize("sentence", [RMC_NO_FIX, RMC_SIMULATED, BAD_DATE, GGA])
def test_without_a_fix_or_a_date_there_is_no_time_of_day(sentence):
    assert not [item for item in decode(decoder, sentence) if isinstance(item, TimeFix)]


@pytest.mark.parametrize(
    ("sentence", "speed"),
    [
        (b"$WIMWV,57.5,R,13.0,N,A*26\r\n", 6.688),  # bundg_zeus_9
        (b"$WIMWV,57.5,R,13.0,M,A*25\r\n", 13.0),
        (b"$WIMWV,57.5,R,13.0,K,A*23\r\n", 3.611),
        (b"$WIMWV,57.5,R,13.0,S,A*3B\r\n", 5.812),
    ],
)
def test_a_wind_instrument_says_direction_and_speed(sentence, speed):
    assert values(decode(decoder, sentence)) == {"wind_direction": 57.5, "wind_speed": speed}


@pytest.mark.parametrize("sentence", [b"$WIMWV,57.5,R,13.0,N,V*31\r\n", b"$WIMWV,,R,,N,A*23\r\n"])
def test_wind_that_is_not_valid_is_no_wind(sentence):
    assert set(values(decode(decoder, sentence)).values()) == {Reason.INVALID}


def test_a_weather_station_says_of_the_air_what_it_measures():
    sentence = b"$WIMDA,29.9870,I,1.0155,B,26.8,C,,,64.2,,19.5,C,151.4,T,156.3,M,6.8,N,3.5,M*6D\r\n"
    assert values(decode(decoder, sentence)) == {
        "pressure": 1015.5,
        "temperature": 26.8,
        "humidity": 64.2,
        "dew_point": 19.5,
    }
    assert values(decode(decoder, b"$WIMDA,,,1.0131,B,,,,,,,,,,,,,,,,*08\r\n")) == {"pressure": 1013.1}


def test_a_recording_may_end_within_a_sentence():
    device = decoder()
    assert device.feed(GGA[:-2]) == []
    assert values(device.end()) == POSITION
    device = decoder()
    assert device.feed(GGA[:-4]) == []
    assert faults(device.end()) == [(FaultKind.TRUNCATED, 0)]


def with_sum(text):
    return f"${text}*{xor8(text.encode()):02X}\r\n".encode()


@pytest.mark.parametrize(
    ("sentence", "quantity"),
    [
        ("GPGGA,202640.00,9904.1306,N,12118.8515,W,1,10,0.98,1127.7,M,-19.6,M,,", "latitude"),
        ("GPGGA,202640.00,4404.1306,N,18118.8515,W,1,10,0.98,1127.7,M,-19.6,M,,", "longitude"),
        ("GPRMC,202640.00,A,4404.1306,N,12118.8515,W,-1.0,181.3,130415,,,A", "speed"),
        ("GPRMC,202640.00,A,4404.1306,N,12118.8515,W,1.0,400.0,130415,,,A", "course"),
    ],
)
def test_what_cannot_be_has_no_value_although_the_sum_is_right(sentence, quantity):
    said = values(decode(decoder, with_sum(sentence)))
    assert [name for name, value in said.items() if value is Reason.INVALID] == [quantity]


def test_a_receiver_that_is_no_weather_station_measures_no_wind():
    settings = Settings(measures="position")
    wind = with_sum("WIMWV,57.5,R,13.0,M,A")
    assert "wind_speed" not in DRIVER.quantities(settings)
    assert values(decode(lambda: DRIVER.make(settings), wind + GGA)) == POSITION
    assert values(decode(lambda: DRIVER.make(Settings(measures="weather")), wind + GGA)).keys() == {
        "wind_direction",
        "wind_speed",
    }
