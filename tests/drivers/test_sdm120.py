import struct

from drivers.contract import FaultKind, Reason
from drivers.devices.sdm120 import DRIVER, Settings
from drivers.modbus import framed
from tests.drivers.feeding import answered, faults, values

# What an SDM on address 3 said (esphome/issues, 3912): register, bytes.
RECORDED = {0x00: "436C7E6E", 0x06: "3DFFA634", 0x0C: "41A718C3", 0x1E: "3F6AC3F9", 0x46: "42480000"}


class Meter:
    """The line with a meter on it, which has zeros in the registers between, as the real ones do."""

    def __init__(self, address, registers):
        self.address = address
        self.registers = registers
        self.asked = []

    def __call__(self, ask):
        address, function, first, count = struct.unpack(">BBHH", ask.request[:6])
        self.asked.append((first, count))
        if (address, function) != (self.address, 4):
            return b""
        data = bytearray(2 * 0x100)
        for register, value in self.registers.items():
            data[2 * register : 2 * register + 4] = bytes.fromhex(value)
        return framed(bytes((address, function, 2 * count)) + data[2 * first : 2 * (first + count)])


def poll(address):
    return DRIVER.make(Settings(address=address)).poll()


def test_a_recorded_meter():
    meter = Meter(3, {**RECORDED, 0x48: "462A7521"})
    items = answered(poll(3), meter)
    assert values(items) == {
        "voltage": 236.4939,
        "current": 0.1248287,
        "active_power": 20.88709,
        "power_factor": 0.9170528,
        "frequency": 50.0,
        "energy_import": 10909.28,
    }
    assert faults(items) == []


def test_it_takes_two_requests():
    meter = Meter(1, RECORDED)
    answered(poll(1), meter)
    assert meter.asked == [(0x00, 32), (0x46, 4)]


def test_a_meter_that_does_not_answer_is_asked_once():
    meter = Meter(1, RECORDED)
    items = answered(poll(2), meter)
    assert values(items) == {}
    assert faults(items) == [(FaultKind.NO_REPLY, 0)]
    assert len(meter.asked) == 1


def test_noise_on_the_line_is_counted_and_costs_nothing():
    meter = Meter(1, RECORDED)
    items = answered(poll(1), lambda ask: b"\x00" + ask.request + b"\xff" + meter(ask))
    assert values(items)["voltage"] == 236.4939
    assert [kind for kind, _ in faults(items)] == [FaultKind.GARBAGE] * 4


def test_what_is_not_a_number_is_not_a_value():
    meter = Meter(1, {0x00: "7FC00000", 0x06: "7F800000"})
    found = values(answered(poll(1), meter))
    assert (found["voltage"], found["current"]) == (Reason.INVALID, Reason.INVALID)


def test_a_refusal_is_a_fault():
    items = answered(poll(1), lambda _: bytes.fromhex("01 84 02 C2 C1"))
    assert faults(items) == [(FaultKind.REFUSED, 0)]


def test_every_quantity_has_its_unit():
    assert DRIVER.quantities(Settings()).keys() == values(answered(poll(1), Meter(1, {}))).keys()
