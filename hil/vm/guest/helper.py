"""The rig's hand inside the virtual machine: does what the host asks for, one JSON object a line.

It runs on Debian's own Python as root, and talks through a virtio serial port, so that it needs no network. The GPIO
lines whose other end it holds are made by chip.sh before it starts.

A request is `{"id": 1, "do": "pull", "line": 17, "up": true}`; the answer has the same id and either `ok` or `error`.
"""

import json
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

PORT = "/dev/virtio-ports/hil"
LINES = Path("/sys/devices/platform/gpio-sim.0/gpiochip0")
# A row of debugfs: ` gpio-997 (GPIO27              |lg                  ) in  hi IRQ`
CLAIM = re.compile(r"\(GPIO(?P<line>\d+) *\|[^)]*\) (?P<way>in|out)\b")
SHORTEST = 0.6  # of a pulse's length
PULLS = {True: b"pull-up", False: b"pull-down"}


def run(command: list[str], given: str | None = None, within: float = 60.0) -> dict[str, Any]:
    """Run a command and return its status and what it printed."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=within, check=False)
    return {"status": done.returncode, "out": done.stdout, "err": done.stderr}


def ask(path: str, line: str, within: float = 5.0) -> str:
    """Send a line to a unix socket and return the line that comes back."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(within)
        asked.connect(path)
        asked.sendall(line.encode() + b"\n")
        return asked.makefile().readline()


def pull(line: int, up: bool) -> None:
    """Put what hangs on an input to a level."""
    (LINES / f"sim_gpio{line}/pull").write_bytes(PULLS[up])


def value(line: int) -> bool:
    """Return the level of a line, as what hangs on an output sees it."""
    return (LINES / f"sim_gpio{line}/value").read_text().strip() == "1"


def pulses(line: int, number: int, hertz: float, rest: bool) -> float:
    """Pulse an input so many times at a steady rate; `rest` is the level between pulses. Return the seconds it took.

    What an edge is late is made up for bit by bit, so that none of the next ones looks like the bounce of a contact.
    """
    half = 0.5 / hertz
    file = os.open(LINES / f"sim_gpio{line}/pull", os.O_WRONLY)
    try:
        began = due = time.monotonic()
        for _ in range(number):
            for level in (not rest, rest):
                os.pwrite(file, PULLS[level], 0)
                due += half
                time.sleep(max(SHORTEST * half, due - time.monotonic()))
        return time.monotonic() - began
    finally:
        os.close(file)


def claims() -> dict[int, str]:
    """Return by line whether somebody has claimed it as an input (`in`) or an output (`out`)."""
    rows = CLAIM.finditer(Path("/sys/kernel/debug/gpio").read_text())
    return {int(row["line"]): row["way"] for row in rows}


def readers(paths: list[str]) -> list[str]:
    """Return which of these devices are there and open in some process."""
    wanted = {os.path.realpath(path): path for path in paths if os.path.exists(path)}
    opened = set[str | None]()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                for entry in os.scandir(process / "fd"):
                    opened.add(wanted.get(os.readlink(entry.path)))
            except OSError:
                continue  # it has ended
    return sorted(filter(None, opened))


VERBS: dict[str, Any] = {one.__name__: one for one in (run, ask, pull, value, pulses, claims, readers)}


class Host:
    """The other end of the port."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Answer for ever, each request in a thread of its own."""
        waiting = b""
        while True:
            came = os.read(self._file, 65536)
            if not came:  # nobody is at the other end
                time.sleep(0.05)
            *lines, waiting = (waiting + came).split(b"\n")
            for line in lines:
                threading.Thread(target=self._answer, args=(json.loads(line),), daemon=True).start()

    def _answer(self, request: dict[str, Any]) -> None:
        number, verb = request.pop("id"), request.pop("do")
        try:
            answer = {"id": number, "ok": VERBS[verb](**request)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the host is told, and the next request is served
            answer = {"id": number, "error": f"{type(error).__name__}: {error}"}
        self.tell(answer)

    def tell(self, message: dict[str, Any]) -> None:
        """Write one line."""
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._file, line) :]


def main() -> None:
    """Say that it is here, and serve the host."""
    host = Host(os.open(PORT, os.O_RDWR))
    host.tell({"id": 0, "ok": "here"})
    host.serve()


if __name__ == "__main__":
    main()
