"""A Modbus line for tests: one device with its registers and coils, which answers as the protocol says."""

import struct

from drivers.modbus.frames import framed


class Server:
    """Answers requests, one at a time; whatever it has not, reads as zero."""

    def __init__(self, address=1, registers=None, coils=(), functions=(1, 2, 3, 4, 5)):
        self.address = address
        self.registers = dict(registers or {})
        self.coils = set(coils)
        self.functions = functions
        self.asked = []  # function, first, count or value

    def __call__(self, ask):
        address, function, first, number = struct.unpack(">BBHH", ask.request[:6])
        self.asked.append((function, first, number))
        if address != self.address:
            return b""
        if function not in self.functions:
            return framed(bytes((address, function | 0x80, 1)))
        if function == 5:
            (self.coils.add if number else self.coils.discard)(first)
            return ask.request
        if function in (1, 2):
            bits = sum((first + place in self.coils) << place for place in range(number))
            data = bits.to_bytes((number + 7) // 8, "little")
        else:
            data = b"".join(self.registers.get(first + place, 0).to_bytes(2, "big") for place in range(number))
        return framed(bytes((address, function, len(data))) + data)


def words(first, data):
    """Return registers by number, from bytes in hexadecimal."""
    data = bytes.fromhex(data)
    return {first + at // 2: int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)}
