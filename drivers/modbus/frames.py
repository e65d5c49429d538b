"""The frames of Modbus RTU: how they are made, and how one is recognised among whatever a line brings.

Source: Modbus application protocol V1.1b3, section 6; Modbus over serial line V1.02, section 2.5.1.
"""

from drivers.checksums import crc16_modbus

READ_COILS = 1
READ_DISCRETE_INPUTS = 2
READ_HOLDING_REGISTERS = 3
READ_INPUT_REGISTERS = 4
WRITE_COIL = 5
WRITE_COILS = 15
READING = range(READ_COILS, READ_INPUT_REGISTERS + 1)
OF_BITS = (READ_COILS, READ_DISCRETE_INPUTS)
WRITING = (WRITE_COIL, 6, WRITE_COILS, 16)  # 6 and 16: registers
WRITING_MANY = (WRITE_COILS, 16)
MAKERS_OWN = (*range(65, 73), *range(100, 111))  # functions that every maker gives a meaning (protocol, 5)

EXCEPTION = 0x80  # set in the function code of an exception reply
EXCEPTION_SIZE = 5
FIXED_SIZE = 8  # bytes of a request to read, of the request and the reply that write one, of the reply that writes many
AROUND_DATA = 5  # address, function, byte count; CRC
AROUND_WRITTEN = 9  # address, function, first, count, byte count; CRC
WITHOUT_DATA = 4  # bytes: address, function; CRC
LONGEST = 256
ADDRESSES = range(1, 248)  # 0 is for all devices, and none answers; 248 to 255 are reserved
ANY_METER = 248  # by this address a PZEM-004T answers whatever its own is

BUSY = 6
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    BUSY: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}


def framed(body: bytes) -> bytes:
    """Return a whole frame: the body with its CRC."""
    return body + crc16_modbus(body).to_bytes(2, "little")


def request(address: int, function: int, first: int, value: int) -> bytes:
    """Return a request of fixed size: to read `value` registers or bits from `first` on, or to write it there."""
    return framed(bytes((address, function)) + first.to_bytes(2, "big") + value.to_bytes(2, "big"))


def data_size(function: int, count: int) -> int:
    """Return the bytes that so many registers or bits take in a reply."""
    return (count + 7) // 8 if function in OF_BITS else 2 * count


def refusal(code: int) -> str:
    """Return what an exception code means."""
    return f"exception {code}: {EXCEPTIONS.get(code, 'unknown')}"


def sizes(data: bytes | bytearray, at: int) -> tuple[int, ...] | None:
    """Return how long a frame that begins there may be, shortest first; None if the data ends before that can be told.

    A request and its reply look alike but for their length.
    """
    if data[at] not in ADDRESSES and data[at] != ANY_METER:
        return ()
    if at + 1 >= len(data):
        return None
    function = data[at + 1]
    if function in READING:
        if at + 2 >= len(data):
            return None
        size = AROUND_DATA + data[at + 2]
        return (FIXED_SIZE, size) if size > FIXED_SIZE else (size, FIXED_SIZE)
    if function in WRITING_MANY:
        return (FIXED_SIZE, AROUND_WRITTEN + data[at + 6]) if at + 6 < len(data) else None
    if function in WRITING:
        return (FIXED_SIZE,)
    if function in MAKERS_OWN:
        return (WITHOUT_DATA,)
    if function & EXCEPTION and function & ~EXCEPTION in (*READING, *WRITING):
        return (EXCEPTION_SIZE,)
    return ()


def intact_size(data: bytes | bytearray, at: int, end: int) -> int:
    """Return the size of the good frame that begins there and is over by `end`; 0 if there is none."""
    for size in sizes(data, at) or ():
        if at + size <= end and not crc16_modbus(bytes(data[at : at + size])):
            return size
    return 0
