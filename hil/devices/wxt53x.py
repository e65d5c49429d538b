"""A Vaisala WXT536 in its ASCII protocols, automatic or polled.

Source: Vaisala WXT530 User Guide M211840EN: messages aR1 wind, aR2 air, aR3 precipitation, aR5 supervisor, aR0 some of
all; requests end with CR LF; one with a small r has a CRC of three characters, and so has its answer (appendix C: start
0, polynomial A001 on reversed bits, 6 bits a character). Where a value is not valid its unit is "#".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from hil.wires.wire import Wire

CR_LF = b"\r\n"
FORMS = {  # key -> digits, as in the examples of the manual, and unit
    "Dn": "03.0f D",
    "Dm": "03.0f D",
    "Dx": "03.0f D",
    "Sn": ".1f M",
    "Sm": ".1f M",
    "Sx": ".1f M",
    "Ta": ".1f C",
    "Ua": ".1f P",
    "Pa": ".1f H",
    "Rc": ".2f M",
    "Rd": ".0f s",
    "Ri": ".1f M",
    "Hc": ".1f M",
    "Hd": ".0f s",
    "Hi": ".1f M",
    "Th": ".1f C",
    "Vh": ".1f N",
    "Vs": ".1f V",
    "Vr": ".3f V",
}
QUANTITIES = {
    "Dn": ("wind_direction_min", 1.0),
    "Dm": ("wind_direction", 1.0),
    "Dx": ("wind_direction_max", 1.0),
    "Sn": ("wind_lull", 0.1),
    "Sm": ("wind_speed", 0.1),
    "Sx": ("wind_gust", 0.1),
    "Ta": ("temperature", 0.1),
    "Ua": ("humidity", 0.1),
    "Pa": ("pressure", 0.1),
    "Rc": ("rain", 0.01),
    "Ri": ("rain_rate", 0.1),
    "Vs": ("device_voltage", 0.1),
}
MESSAGES = {
    "1": ("Dn", "Dm", "Dx", "Sn", "Sm", "Sx"),
    "2": ("Ta", "Ua", "Pa"),
    "3": ("Rc", "Rd", "Ri", "Hc", "Hd", "Hi"),
    "5": ("Th", "Vh", "Vs", "Vr"),
    "0": ("Dm", "Sm", "Ta", "Ua", "Pa", "Rc", "Th", "Vh"),
}


def crc(data: bytes) -> bytes:
    """Return the three characters of the CRC."""
    register = 0
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ 0xA001 if register & 1 else register >> 1
    return bytes((0x40 | register >> 12, 0x40 | register >> 6 & 0x3F, 0x40 | register & 0x3F))


def message(head: str, values: Mapping[str, float], *, invalid: frozenset[str] = frozenset()) -> bytes:
    """Return a message such as "0R1" with its end; with CRC if the r is a small one."""
    fields = [head]
    for key, value in values.items():
        form, unit = FORMS[key].split()
        fields.append(f"{key}={value:{form}}{'#' if key in invalid else unit}")
    data = ",".join(fields).encode()
    return data + (crc(data) if head[1] == "r" else b"") + CR_LF


class Wxt53x(Talker):
    """A transmitter at address 0; `automatic` or asked. Its wind can be `blocked`, its rain counter `reset`."""

    def __init__(
        self, name: str, wire: Wire, chance: random.Random, *, every: float = 5.0, automatic: bool = True
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.automatic = automatic
        self.blocked = False
        self._heard = b""
        self._rain = 0.0
        self._walks = {
            "Dm": Walk(chance, 20, 340, 8),
            "Sm": Walk(chance, 0.5, 12, 0.4),
            "Ta": Walk(chance, 24, 34, 0.1),
            "Ua": Walk(chance, 50, 98, 0.5),
            "Pa": Walk(chance, 1002, 1014, 0.1),
        }
        wire.listen(self._hear)

    def reset(self) -> None:
        """Forget the rain, as it does when its supply was off."""
        self._rain = 0.0

    def spoil(self, data: bytes) -> bytes:
        """Return a message with a letter in its first number; most have no checksum."""
        at = data.index(b"=") + 1
        return data[:at] + b"?" + data[at + 1 :]

    def speak(self) -> None:
        """Send all messages if it is automatic."""
        if self.automatic:
            super().speak()

    def compose(self) -> list[Frame]:
        """Say all messages, without CRC."""
        return self._messages("R", "1235")

    def _hear(self, data: bytes) -> None:
        *lines, self._heard = (self._heard + data).split(CR_LF)
        for line in lines:
            request, check = (line[:-3], line[-3:]) if line[1:2] == b"r" else (line, b"")
            if request[:2] in {b"0R", b"0r"} and request[2:] in {b"", b"0", b"1", b"2", b"3", b"5"}:
                if check and crc(request) != check:
                    self.utter(
                        [Frame(b"0tX,Use chksum " + crc(request) + crc(b"0tX,Use chksum " + crc(request)) + CR_LF)]
                    )
                    continue
                self.utter(self._messages(request[1:2].decode(), request[2:].decode() or "1235"))

    def _messages(self, letter: str, numbers: str) -> list[Frame]:
        walked = {key: walk.step() for key, walk in self._walks.items()}
        self._rain += self._chance.random() * 0.05
        direction, speed = walked["Dm"], walked["Sm"]
        values = walked | {
            "Dn": direction - 10,
            "Dx": direction + 10,
            "Sn": speed * 0.8,
            "Sx": speed * 1.2,
            "Rc": self._rain,
            "Rd": 20.0,
            "Ri": 1.2,
            "Hc": 0.0,
            "Hd": 0.0,
            "Hi": 0.0,
            "Th": walked["Ta"] + 1,
            "Vh": 0.0,
            "Vs": 12.1,
            "Vr": 3.531,
        }
        return [
            self._message(f"0{letter}{number}", {key: values[key] for key in MESSAGES[number]}) for number in numbers
        ]

    def _message(self, head: str, values: Mapping[str, float]) -> Frame:
        invalid = frozenset(MESSAGES["1"]) if self.blocked else frozenset[str]()
        said = []
        for key, (quantity, step) in QUANTITIES.items():
            if key in values:
                shown = float(f"{values[key]:{FORMS[key].split()[0]}}")
                said.append(
                    Said(quantity, None, reason=Reason.INVALID) if key in invalid else Said(quantity, shown, step)
                )
        return Frame(message(head, values, invalid=invalid), tuple(said))
