"""The profiles that Roadside brings along, on a line and in recordings."""

import re
import tomllib

import pytest

from drivers import registry
from drivers.contract import FaultKind, Measurement, Reason
from drivers.modbus import reading
from drivers.modbus.frames import framed
from drivers.modbus.loop import Settings as Loop
from drivers.modbus.mistakes import mistakes
from drivers.modbus.profile import Profile
from tests.drivers.feeding import answered, faults, measurements, values
from tests.drivers.modbus_line import Server, words

# What an SDM on address 3 said (esphome/issues, 3912): register, bytes; and the energy of another one.
RECORDED = {0x00: "436C7E6E", 0x06: "3DFFA634", 0x0C: "41A718C3", 0x1E: "3F6AC3F9", 0x46: "42480000", 0x48: "462A7521"}
SDM = {number: word for first, data in RECORDED.items() for number, word in words(first, data).items()}
PZEM = "0959020400000385000012290000 01F3 0049 0000".replace(" ", "")  # RTI driver, comment


def poll(name, server, **settings):
    driver = registry.load(name)
    return answered(driver.make(driver.settings(**settings)).poll(), server)


@pytest.mark.parametrize("name", reading.shipped())
def test_each_is_in_the_registry_and_free_of_mistakes(name):
    assert registry.TABLE[name] == f"drivers/profiles/{name}.toml"
    driver = registry.load(name)
    assert isinstance(driver.profile, Profile)
    assert list(mistakes(driver.profile)) == []
    assert driver.source


def test_a_recorded_meter():
    items = poll("sdm120", Server(3, SDM), address=3)
    said = values(items)
    assert (said["voltage"], said["current"], said["active_power"]) == (236.4939, 0.1248287, 20.88709)
    assert (said["power_factor"], said["frequency"], said["energy_import"]) == (0.9170528, 50.0, 10909.28)
    assert faults(items) == []
    assert said.keys() == registry.load("sdm120").quantities(None).keys()


def test_groups_are_read_with_one_request_each():
    server = Server(1, SDM)
    poll("sdm120", server)
    assert server.asked == [(4, 0x00, 32), (4, 0x46, 10)]


def test_adjacent_registers_are_one_request_unless_told_otherwise():
    server = Server(1, words(0, PZEM))
    assert values(poll("pzem004t", server)) == {
        "voltage": 239.3,
        "current": 0.516,
        "active_power": 90.1,
        "energy_import": 4.649,
        "frequency": 49.9,
        "power_factor": 0.73,
        "over_power": False,
    }
    assert server.asked == [(4, 0, 10)]


def test_a_meter_that_does_not_answer_is_asked_once():
    server = Server(1, SDM)
    items = poll("sdm120", server, address=2)
    assert (values(items), faults(items)) == ({}, [(FaultKind.NO_REPLY, 0)])
    assert len(server.asked) == 1


def test_noise_on_the_line_is_counted_and_costs_nothing():
    server = Server(1, SDM)
    items = poll("sdm120", lambda ask: b"\x00" + ask.request + b"\xff" + server(ask))
    assert values(items)["voltage"] == 236.4939
    assert [kind for kind, _ in faults(items)] == [FaultKind.GARBAGE] * 4


@pytest.mark.parametrize("number", ["7FC00000", "7F800000", "69784369"])
def test_what_is_no_number_or_beyond_all_measure_is_not_a_value(number):
    assert values(poll("sdm120", Server(1, words(0, number))))["voltage"] is Reason.INVALID


def test_a_device_whose_words_are_swapped_is_read_with_a_setting():
    assert values(poll("sdm120", Server(1, words(0, "69784369")), words="low first"))["voltage"] == 233.412


def test_the_ends_of_the_range_are_no_values():
    for tenths, value in {300: Reason.OUT_OF_RANGE, 301: 30.1, 536: 53.6, 1300: Reason.OUT_OF_RANGE}.items():
        assert values(poll("sm7901", Server(1, {0: tenths}))) == {"noise": value}


def test_a_sensor_that_says_it_has_failed_is_not_believed():
    registers = {0x03: 1200, 0x14: 1, 0x15: 3500}
    assert values(poll("sdi_radar_300wl", Server(1, registers))) == {"water_speed": 1.2, "water_level": 3.5}
    failed = Server(1, {**registers, 0x14: 0})
    assert set(values(poll("sdi_radar_300wl", failed)).values()) == {Reason.INVALID}


def test_frost():
    assert values(poll("xymd02", Server(1, {1: 0x10000 - 205, 2: 546}))) == {"temperature": -20.5, "humidity": 54.6}


def test_three_phases_have_names_of_their_own():
    said = values(poll("sdm630", Server(1, {**words(0, "43664000 43670000 43678000".replace(" ", ""))})))
    assert (said["voltage_l1"], said["voltage_l2"], said["voltage_l3"]) == (230.25, 231.0, 231.5)


# --- 4-20 mA -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("microamperes", "level"),
    [
        (4000, 0.5),
        (12000, 2.5),
        (20000, 4.5),
        (3800, 0.45),
        (3600, Reason.BROKEN_WIRE),
        (0, Reason.BROKEN_WIRE),
        (20999, 4.74975),
        (21000, Reason.OVER_RANGE),
    ],
)
def test_a_current_means_a_level_or_a_fault(microamperes, level):
    server = Server(1, {2: microamperes})
    said = values(poll("waveshare_analog", server, channel=3, quantity="water_level", low=0.5, high=4.5))
    assert said["loop_current"] == microamperes / 1000
    assert said["water_level"] == level
    assert server.asked == [(4, 2, 1)]


def test_a_quantity_of_ones_own_brings_its_unit():
    driver = registry.load("waveshare_analog")
    assert driver.quantities(Loop()) == {"loop_current": "mA"}
    assert driver.quantities(Loop(quantity="tank", unit="l", high=90)) == {"loop_current": "mA", "tank": "l"}
    assert driver.quantities(Loop(quantity="water_level", high=8))["water_level"] == "m"


def test_a_scale_that_maps_everything_to_one_value_is_refused():
    with pytest.raises(ValueError, match=r"^high: "):
        Loop(quantity="water_level", low=1, high=1)
    with pytest.raises(ValueError, match=r"^high: is missing"):
        Loop(quantity="water_level")


# --- outputs -------------------------------------------------------------------------------------------------------


def switched(name, server, on, lasting=180.0, **settings):
    driver = registry.load(name)
    return answered(driver.make(driver.settings(**settings)).switch(on, lasting), server)


def test_a_relay_is_looked_at_written_and_looked_at_again():
    server = Server()
    assert values(switched("relay8", server, True, relay=8)) == {"on": True}
    assert server.asked == [(1, 0, 8), (5, 7, 0xFF00), (1, 0, 8)]
    server.asked.clear()
    assert values(switched("relay8", server, False, relay=8)) == {"on": False}
    assert server.asked == [(1, 0, 8), (5, 7, 0), (1, 0, 8)]


def test_a_relay_that_is_so_already_is_not_written():
    server = Server(coils={0})
    assert values(switched("relay8", server, True)) == {"on": True}
    assert server.asked == [(1, 0, 8)]


def test_a_relay_that_cannot_be_looked_at_is_not_written_blindly():
    asked = []
    items = switched("relay8", lambda ask: asked.append(ask.request[1]) or b"", True)
    assert (values(items), asked) == ({}, [1])
    assert faults(items) == [(FaultKind.NO_REPLY, 0)]


def test_a_write_whose_echo_is_lost_is_told_by_looking():
    server = Server()

    def line(ask):
        answer = server(ask)
        return b"" if ask.request[1] == 5 else answer

    items = switched("relay8", line, True)
    assert values(items) == {"on": True}
    assert faults(items) == [(FaultKind.NO_REPLY, 0)]
    assert [function for function, *_ in server.asked] == [1, 5, 1]


def test_a_relay_that_does_not_obey_is_what_it_is():
    server = Server()
    assert values(switched("relay8", lambda ask: ask.request if ask.request[1] == 5 else server(ask), True)) == {
        "on": False
    }


def test_a_board_with_a_clock_is_told_how_long():
    server = Server()
    switched("waveshare_relay", server, True, lasting=90.0, relay=3)
    assert server.asked[1] == (5, 0x0202, 900)
    switched("waveshare_relay", server, True, lasting=86400.0, relay=3)
    assert (5, 0x0202, 0x7FFF) in server.asked


def test_the_request_that_makes_it_safe():
    driver = registry.load("relay8")
    assert driver.make(driver.settings(relay=8)).off() == framed(bytes.fromhex("01 05 00 07 00 00"))


# --- files ---------------------------------------------------------------------------------------------------------

OWN = 'title = "T"\n[values]\nvoltage = { register = 1, scale = 0.1 }\n'


def test_a_profile_of_ones_own_is_a_meter_like_any_other(tmp_path):
    (tmp_path / "meter.toml").write_text(OWN)
    path = str(tmp_path / "meter.toml")
    assert values(poll("modbus", Server(5, {1: 2301}), profile=path, address=5)) == {"voltage": 230.1}
    assert values(poll("modbus", Server(1, SDM), profile="sdm120"))["frequency"] == 50.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has one of 'values'"),
        (OWN + "volts = { register = 2 }", "did you mean"),
        (OWN + 'current = { register = 0, type = "u32" }', "register 1 already belongs|already belongs to 'voltage'"),
        (OWN.replace("0.1", "0"), "cannot be 0"),
        ('alarms = ["voltage"]\n' + OWN, "true or false"),
        ("wrong = 1\n" + OWN, "wrong"),
        ('line = "9600"\n' + OWN, "9600 8N1"),
        ("groups = [{ first = 5, count = 2 }]\n" + OWN, "in no group"),
        ("title", "Expected"),
    ],
)
def test_a_profile_that_is_wrong_is_one_error(tmp_path, text, said):
    path = tmp_path / "wrong.toml"
    path.write_text(text if text.startswith("title") or "title" in text else 'title = "T"\n' + text)
    with pytest.raises(reading.ProfileError, match=f"(?s)wrong.toml: .*({said})"):
        reading.read(str(path))


def test_a_profile_that_is_not_there():
    with pytest.raises(reading.ProfileError, match="there is no such file"):
        reading.read("/nowhere/meter.toml")
    with pytest.raises(reading.ProfileError, match=re.escape("'sdm121' is no profile; known: fmr20, lx80")):
        reading.read("sdm121")


# --- recordings ----------------------------------------------------------------------------------------------------

ASKED = bytes.fromhex("01 04 00 00 00 02 71 CB")
REPLY = bytes.fromhex("01 04 04 43 69 69 78 10 6E")  # recorded: an SDM220 that says 233.412 V
VOLTAGE = Measurement("voltage", 233.412)


def heard(name, data, **settings):
    """Decode a recording whole, byte by byte and cut in two at each place."""
    driver = registry.load(name)

    def fed(*chunks):
        decoder = driver.overhear(driver.settings(**settings))
        return [item for chunk in chunks for item in decoder.feed(chunk)] + decoder.end()

    items = fed(data)
    assert fed(*(bytes([byte]) for byte in data)) == items
    for cut in range(1, min(len(data), 200)):
        assert fed(data[:cut], data[cut:]) == items
    return items


def test_a_reply_behind_its_request():
    assert heard("sdm120", ASKED + REPLY) == [VOLTAGE]
    assert heard("sdm120", ASKED + ASKED + REPLY + ASKED + REPLY) == [VOLTAGE] * 2


def test_a_reply_alone_is_placed_by_its_size_or_a_setting():
    assert heard("sdm120", REPLY, register=0) == [VOLTAGE]
    assert faults(heard("sdm120", REPLY)) == [(FaultKind.MALFORMED, 0)]
    assert len(measurements(heard("pzem004t", framed(bytes.fromhex("02 04 14" + PZEM))))) == 7


def test_the_first_device_that_is_heard_is_the_one_unless_an_address_is_given():
    other = framed(b"\x02" + REPLY[1:-2])
    assert heard("sdm120", other + REPLY, register=0)[0] == VOLTAGE
    assert faults(heard("sdm120", other + REPLY, register=0)) == [(FaultKind.WRONG_DEVICE, 9)]
    assert faults(heard("sdm120", other + REPLY, register=0, address=1)) == [(FaultKind.WRONG_DEVICE, 0)]


def test_a_reply_of_another_device_than_was_asked():
    assert faults(heard("sdm120", ASKED + framed(b"\x02" + REPLY[1:-2]))) == [(FaultKind.WRONG_DEVICE, 8)]


def test_where_requests_are_recorded_a_second_reply_is_nobodys():
    items = heard("sdm120", ASKED + REPLY + REPLY)
    assert (measurements(items), faults(items)) == ([VOLTAGE], [(FaultKind.GARBAGE, 17)])


def test_what_others_say_to_each_other_is_no_fault():
    other = framed(b"\x02" + ASKED[1:-2]) + framed(b"\x02" + REPLY[1:-2])
    assert heard("sdm120", other + ASKED + REPLY, address=1) == [VOLTAGE]


def test_noise_around_a_reply_is_told():
    items = heard("sdm120", b"\xff" + ASKED + b"\x00" + REPLY + b"\x00\xff")
    assert measurements(items) == [VOLTAGE]
    assert faults(items) == [(FaultKind.GARBAGE, at) for at in (0, 9, 19)]


def test_a_damaged_and_a_cut_reply_are_told_and_hide_nothing():
    damaged = bytes([*REPLY[:4], REPLY[4] ^ 0x10, *REPLY[5:]])
    items = heard("sdm120", ASKED + damaged + ASKED + REPLY[:5] + ASKED + REPLY)
    assert measurements(items) == [VOLTAGE]
    assert faults(items) == [(FaultKind.CHECKSUM, 8), (FaultKind.CHECKSUM, 25)]
    assert faults(heard("sdm120", ASKED + REPLY[:6])) == [(FaultKind.TRUNCATED, 8)]


def test_a_false_beginning_does_not_hold_up_the_frame_behind_it():
    driver = registry.load("sdm120")
    decoder = driver.overhear(driver.settings(register=0))
    assert measurements(decoder.feed(b"\x05\x04\xfa" + REPLY)) == [VOLTAGE]


def test_a_refusal():
    items = heard("sdm120", ASKED + bytes.fromhex("01 84 02 C2 C1"))
    assert items[0].detail == "exception 2: illegal data address"
    assert faults(items) == [(FaultKind.REFUSED, 8)]


def test_a_board_says_what_its_outputs_are():
    eighth = bytes.fromhex("01 05 00 07 FF 00 3D FB")
    assert values(heard("relay8", eighth, relay=8)) == {"on": True}
    assert heard("relay8", eighth) == []  # of another output
    assert measurements(heard("relay8", eighth + eighth, relay=8)) == [Measurement("on", True)]
    assert values(heard("relay8", bytes.fromhex("01 01 01 81 91 E8"), relay=8)) == {"on": True}
    assert values(heard("relay8", bytes.fromhex("01 01 01 81 91 E8"), relay=2)) == {"on": False}
    assert faults(heard("relay8", bytes.fromhex("01 05 00 00 FF 00 8C 3B"))) == [(FaultKind.CHECKSUM, 0)]


def test_every_field_of_a_shipped_profile_is_read():
    """The quick way of reading and the file agree: nothing in a file is passed over."""
    for name in reading.shipped():
        document = tomllib.loads((reading.FOLDER / f"{name}.toml").read_text())
        profile = reading.read(name)
        for key in document:
            assert getattr(profile, key), (name, key)
