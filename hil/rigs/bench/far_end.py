"""The far end of a bench: plays bytes into serial ports and levels onto pins, as it is told on standard input.

It runs on a second Pi, or on whatever has the USB adapters, and needs Python 3.11, pyserial, and for pins gpiozero. It
is one file on purpose: copy it there. One JSON object a line, each way; each request has an answer with its id:

    {"id": 1, "do": "open", "wire": "level-1", "port": "/dev/ttyUSB0", "line": "9600 8N1"}  ->  {"id": 1, "ok": {}}
    {"id": 2, "do": "write", "wire": "level-1", "hex": "ff07d0d6"}
    {"id": 3, "do": "edges", "pin": 17, "edges": [[false, 0.0], [true, 0.3]]}    a contact closes, and opens after 0.3 s
    {"id": 4, "do": "watch", "pin": 22}                 and from then on, unasked:  {"changed": 22, "level": true}
    {"id": 5, "do": "drive", "pin": 21, "level": true}  an output of ours, such as a relay
    what comes in:  {"heard": "level-1", "hex": "..."}  what is gone:  {"gone": "level-1", "why": "..."}

A contact is closed by driving its pin low, and open when nothing but a pull-up holds it. When standard input ends, all
is let go.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import serial

PROTOCOL = 1
READ_SIZE = 4096  # bytes
LONGEST = 1 << 20  # bytes of a request


class Refused(Exception):  # noqa: N818 - an answer, not a defect
    """It cannot be done; the message says why."""


class FarEnd:
    """Does what it is told."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wires: dict[str, serial.Serial] = {}
        self._pins: dict[int, Any] = {}
        self._moving: dict[int, asyncio.Task[None]] = {}
        self._callbacks: list[Any] = []  # gpiozero holds them weakly

    def say(self, **fields: object) -> None:
        """Send a line."""
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()

    def take(self, line: bytes) -> None:
        """Take a request, and answer it."""
        request: dict[str, Any] = {}
        try:
            request = json.loads(line)
            self.say(id=request["id"], ok=self._do(request))
        except Refused as error:
            self.say(id=request["id"], error=str(error))
        except (ValueError, TypeError, KeyError) as error:
            self.say(id=request.get("id"), error=f"not understood: {error!r}")

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "hello":
                return {"far_end": PROTOCOL}
            case "open":
                self._open(request["wire"], request["port"], request["line"])
            case "write":
                self._write(request["wire"], bytes.fromhex(request["hex"]))
            case "close":
                self._close(request["wire"])
            case "edges":
                self._edges(request["pin"], [(bool(level), float(after)) for level, after in request["edges"]])
            case "watch":
                return {"level": self._watch(request["pin"])}
            case "reads":
                return {"level": bool(self._pin(request["pin"]).state)}
            case "drive":
                self._pin(request["pin"]).output_with_state(int(request["level"]))
            case other:
                raise Refused(f"unknown request {other!r}")
        return {}

    # --- wires -----------------------------------------------------------------------------------------------------

    def _open(self, wire: str, port: str, line: str) -> None:
        import serial

        baud, _, form = line.partition(" ")
        self._close(wire)
        try:
            opened = serial.Serial(
                port, int(baud), int(form[0]), form[1], float(form[2:]), timeout=0, write_timeout=0, exclusive=True
            )
        except (IndexError, ValueError, OSError) as error:  # pyserial's own is an OSError
            raise Refused(f"{port} at {line!r}: {error}") from error
        self._wires[wire] = opened
        self._loop.add_reader(opened.fileno(), self._readable, wire)

    def _write(self, wire: str, data: bytes) -> None:
        if wire not in self._wires:
            raise Refused(f"{wire} is not open")
        try:
            taken = self._wires[wire].write(data) or 0
        except OSError as error:
            raise Refused(f"{wire}: {error}") from error
        if taken < len(data):
            raise Refused(f"{wire}: {len(data) - taken} bytes are lost: more came than the line can send")

    def _readable(self, wire: str) -> None:
        why = "it was pulled out"
        try:
            data = self._wires[wire].read(READ_SIZE)
        except OSError as error:
            data, why = b"", str(error)
        if data:
            self.say(heard=wire, hex=data.hex())
        else:
            self._close(wire)
            self.say(gone=wire, why=why)

    def _close(self, wire: str) -> None:
        if wire in self._wires:
            self._loop.remove_reader(self._wires[wire].fileno())
            self._wires.pop(wire).close()

    # --- pins ------------------------------------------------------------------------------------------------------

    def _pin(self, number: int) -> Any:  # noqa: ANN401 - gpiozero has no types
        if number not in self._pins:
            try:
                from gpiozero import Device
                from gpiozero.exc import GPIOZeroError
            except ImportError as error:
                raise Refused(f"pins need gpiozero: {error}") from error
            try:
                Device.ensure_pin_factory()
                self._pins[number] = Device.pin_factory.pin(number)
                self._pins[number].function = "input"
            except (GPIOZeroError, OSError) as error:
                raise Refused(f"pin {number}: {error}") from error
        return self._pins[number]

    def _edges(self, number: int, edges: Iterable[tuple[bool, float]]) -> None:
        pin, before = self._pin(number), self._moving.get(number)

        async def move() -> None:
            if before is not None:
                await asyncio.wait({before})
            due = self._loop.time()
            for level, after in edges:
                due += after
                await asyncio.sleep(due - self._loop.time())
                if level:
                    pin.input_with_pull("up")
                else:
                    pin.output_with_state(0)

        self._moving[number] = self._loop.create_task(move())

    def _watch(self, number: int) -> bool:
        pin = self._pin(number)

        def changed(_ticks: int, level: int) -> None:  # in a thread of the pin factory
            self._loop.call_soon_threadsafe(lambda: self.say(changed=number, level=bool(level)))

        self._callbacks.append(changed)
        pin.edges = "both"
        pin.when_changed = changed
        return bool(pin.state)

    def let_go(self) -> None:
        """Close the wires, and let the pins float."""
        for task in self._moving.values():
            task.cancel()
        for wire in list(self._wires):
            self._close(wire)
        for pin in self._pins.values():
            pin.close()


async def main() -> None:
    """Do what standard input says, until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    far = FarEnd(loop)
    try:
        while line := await reader.readline():
            far.take(line)
    finally:
        far.let_go()


if __name__ == "__main__":
    asyncio.run(main())
