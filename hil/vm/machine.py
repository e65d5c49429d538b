"""One virtual machine, in QEMU without KVM: switched on, cut from its power, given a clock, adapters and contacts.

It runs on an overlay of its own, so that the image stays as it was built, and a power cut is SIGKILL to QEMU: what
the machine had not synced is lost with its page cache. What QEMU had handed to the host's kernel stays: the disk does
not lie. The machine reaches the loopback of the host at HOST, and nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hil.vm import devicetree
from hil.vm.architecture import AMD64
from hil.vm.devicetree import DeviceTreeError
from hil.vm.helper import Helper, HelperError
from hil.vm.image import overlay
from hil.vm.qmp import Qmp, QmpError
from hil.vm.usb import BUS, UsbSerial

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from hil.vm.architecture import Architecture
    from hil.vm.image import Image

HOST = "10.0.2.2"  # the host's loopback, from within
MEMORY = 768  # MiB
BOOTS_WITHIN = 600.0  # seconds; some 15 to 30 on an idle machine
ANSWERS_WITHIN = 20.0
OPENED_EVERY = 0.5  # seconds between looks at who has an adapter open
LOOKED_AT_EVERY = 0.1
FIRST_SLOT = 16  # on the PCI bus, of the further disks: behind the disk that it boots from, which has to be the first
# One virtual processor whose time is that of its instructions: pulses at 1 kHz come as they were made. Several at
# once are quicker, and now and then one of them stands still for longer than a pulse.
EXACT = ("-accel", "tcg,thread=single", "-icount", "shift=1,sleep=on", "-smp", "1")
QUICK = ("-accel", "tcg,thread=multi", "-smp", "2")


class MachineError(Exception):
    """A machine that does not start or does not answer; the message says what it said last."""


def why_not(architecture: Architecture = AMD64) -> str:
    """Return why no machine can run here; empty if one can."""
    if os.geteuid():
        return "the image of the virtual machine is built by root alone"
    for command in (architecture.qemu, "qemu-img", "setpriv", *(["fdtput"] if architecture.revision else [])):
        if shutil.which(command) is None:
            return f"{command} is not installed"
    return ""


class Machine:
    """Use it as an asynchronous context manager; inside it is switched on and its helper answers.

    `files` are put in place at each boot, by their path in the machine, before any service starts; `adapters` are the
    serial numbers of its USB-serial adapters; `since` is where its clock begins, for example `1970-01-01`. `disk` is
    a qcow2 file of its own, made if it is not there, and kept. `cards` are raw files, by the serial numbers of the
    further disks that they are: hil.vm.card.
    """

    def __init__(
        self,
        image: Image,
        *,
        files: Mapping[str, str] | None = None,
        adapters: Sequence[str] = (),
        since: str | None = None,
        exact: bool = True,
        disk: Path | None = None,
        cards: Mapping[str, Path] | None = None,
    ) -> None:
        # A unix socket's path has room for 107 bytes: a test's own folders are too long.
        self.folder = Path(tempfile.mkdtemp(prefix="vm-"))
        self.adapters = {name: UsbSerial(name, self.folder) for name in adapters}
        self.files = dict(files or {})
        self.since = since
        self.overlay = disk or self.folder / "disk.qcow2"
        self.cards = dict(cards or {})
        self.boots = 0
        self._image = image
        self._exact = exact
        self._process: asyncio.subprocess.Process | None = None
        self._qmp: Qmp | None = None
        self._helper: Helper | None = None
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            if not self.overlay.exists():
                overlay(self.overlay, self._image.disk)
            await self.on()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        await self.cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def is_on(self) -> bool:
        """Tell whether it has power."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The number of QEMU's process; raises MachineError if the machine is off."""
        if self._process is None:
            raise MachineError("the machine is off")
        return self._process.pid

    @property
    def helper(self) -> Helper:
        """The rig's hand in it; raises MachineError if the machine is off."""
        if self._helper is None:
            raise MachineError("the machine is off")
        return self._helper

    @property
    def console(self) -> str:
        """What its kernel and systemd have said, of all boots."""
        logs = [self.folder / f"console-{boot}.log" for boot in range(1, self.boots + 1)]
        return "".join(log.read_text("utf-8", "replace") for log in logs if log.exists())

    async def on(self) -> None:
        """Give it power, and wait until its helper answers; raises MachineError."""
        sockets = [self.folder / name for name in ("qmp", "helper", *(f"usb-{one}" for one in self.adapters))]
        for path in sockets:
            path.unlink(missing_ok=True)
        self.boots += 1
        await self._write_device_tree()
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", *self._command()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            await self.until(self._has_made(sockets), "QEMU has made its sockets", ANSWERS_WITHIN)
            self._qmp = await Qmp.connect(sockets[0])
            self._helper = await Helper.connect(sockets[1])
            for adapter in self.adapters.values():
                await adapter.attach(self._qmp)
            await self._helper.here(BOOTS_WITHIN)
        except (OSError, QmpError, HelperError, TimeoutError) as error:
            said = (self.folder / "qemu.log").read_text("utf-8", "replace")[-1000:]
            raise MachineError(f"it does not boot: {error!r}\n{said}\n{self.console[-3000:]}") from error
        if self.adapters:
            self._watching = asyncio.create_task(self._watch_adapters(), name="who has an adapter open")

    def _has_made(self, sockets: Sequence[Path]) -> Callable[[], Awaitable[bool]]:
        async def made() -> bool:
            if not self.is_on:
                raise QmpError("QEMU has ended")
            return all(path.exists() for path in sockets)

        return made

    async def _write_device_tree(self) -> None:
        if revision := self._image.architecture.revision:
            try:
                await devicetree.write(self._device_tree, self._board(), revision)
            except DeviceTreeError as error:
                raise MachineError(f"it has no device tree: {error}") from error

    @property
    def _device_tree(self) -> Path:
        return self.folder / "board.dtb"

    def _board(self) -> list[str]:
        """Return how QEMU is told what it emulates."""
        architecture = self._image.architecture
        return [architecture.qemu, *(EXACT if self._exact else QUICK), *architecture.board, "-m", str(MEMORY)]

    def _command(self) -> list[str]:
        architecture = self._image.architecture
        command = [*self._board(), "-display", "none", "-monitor", "none", "-no-reboot", "-nodefaults"]
        command += ["-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)]
        command += ["-append", f"root=/dev/vda rw {architecture.kernel_arguments}"]
        if architecture.revision:
            command += ["-dtb", str(self._device_tree)]
        command += ["-drive", f"file={self.overlay},if=virtio,format=qcow2,cache=writeback"]
        for slot, (serial, path) in enumerate(self.cards.items(), FIRST_SLOT):
            command += ["-drive", f"file={path},if=none,id={serial},format=raw,cache=writeback"]
            command += ["-device", f"virtio-blk-pci,drive={serial},serial={serial},addr={slot:#x}"]
        command += ["-serial", f"file:{self.folder}/console-{self.boots}.log"]
        command += ["-qmp", f"unix:{self.folder}/qmp,server=on,wait=off", "-device", "virtio-serial-pci"]
        command += ["-chardev", f"socket,id=helper,path={self.folder}/helper,server=on,wait=off"]
        command += ["-device", "virtserialport,chardev=helper,name=hil", "-device", "virtio-rng-pci"]
        command += ["-netdev", "user,id=net,ipv6=off", "-device", "virtio-net-pci,netdev=net,romfile="]
        command += ["-device", f"qemu-xhci,id={BUS.partition('.')[0]}"]
        for adapter in self.adapters.values():
            command += adapter.arguments
        if self.since is not None:
            command += ["-rtc", f"base={self.since}"]
        if self.files:
            placed = self.folder / "files.tmpfiles"
            placed.write_text("".join(_placed(path, text) for path, text in self.files.items()))
            command += ["-fw_cfg", f"name=opt/io.systemd.credentials/tmpfiles.extra,file={placed}"]
        return command

    async def cut(self) -> float:
        """Take its power away and return when (seconds since 1970). Harmless if it has none."""
        process, self._process = self._process, None
        at = time.time()
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await self._let_go()
        return at

    async def shut_down(self, within: float = 90.0) -> None:
        """Have it stop everything in order, and switch off; raises TimeoutError."""
        if self._process is None:
            return
        with contextlib.suppress(HelperError):  # it may be ended before it has answered
            await self.helper.run("systemctl", "poweroff", "--no-block")
        async with asyncio.timeout(within):
            await self._process.wait()
        self._process = None
        await self._let_go()

    async def _let_go(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})
        for adapter in self.adapters.values():
            await adapter.detach()
        if self._helper is not None:
            await self._helper.close()
        if self._qmp is not None:
            await self._qmp.close()
        self._helper = self._qmp = None

    async def until(self, condition: Callable[[], Awaitable[object]], what: str, within: float = 60.0) -> None:
        """Wait for a condition in the machine; raises TimeoutError, which says what did not come."""
        deadline = time.monotonic() + within
        while not await condition():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            await asyncio.sleep(LOOKED_AT_EVERY)

    async def _watch_adapters(self) -> None:
        """Keep up with who has an adapter open, until the power goes."""
        paths = {adapter.path: adapter for adapter in self.adapters.values()}
        with contextlib.suppress(HelperError):
            while True:
                opened = await self.helper.readers(list(paths))
                for path, adapter in paths.items():
                    adapter.open = adapter.plugged and path in opened
                await asyncio.sleep(OPENED_EVERY)


def _placed(path: str, text: str) -> str:
    """Return a line of tmpfiles.d(5) that writes a file, which only root may write."""
    return f"f+~ {path} 0644 root root - {base64.b64encode(text.encode()).decode()}\n"
