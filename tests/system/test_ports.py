"""A port that cannot be used is reported with the reason, comes back by itself, and disturbs no other device."""

import asyncio
import os
import pty
import sys
import tty

from hil.devices.plantower import packed
from tests.system.gateway import STOPS_WITHIN, Gateway, device_counts, device_is
from tests.system.troubles import ended, hanging_open, memory, process, release, unprivileged

HOLD = "import serial, sys, time; port = serial.Serial(sys.argv[1], exclusive=True); print(flush=True); time.sleep(600)"
MOST_MORE = 24 << 20  # bytes that a flood may cost


def is_gone(device):
    """Unplugged, and from the next attempt on missing."""
    return lambda said: said["devices"][device]["state"] in {"unplugged", "missing"}


async def test_a_port_that_is_missing_at_start_is_reported_until_it_is_plugged_in(broker):
    async with Gateway(broker.url, start=False) as gateway:
        gateway.wire("air-1").unplug()
        await gateway.start()
        await gateway.tells(device_is("air-1", "missing"), log="device_unreadable device=air-1 why=missing")
        await gateway.go_on("level-1", "meter-1")
        gateway.wire("air-1").plug()
        await gateway.tells(device_is("air-1", "ok"), log="device_readable device=air-1 was=missing")
        await gateway.loses_nothing()


async def test_an_adapter_that_is_unplugged_is_reported_until_it_is_plugged_in_again(gateway):
    await gateway.well("air-1", "meter-1")
    gateway.wire("air-1").unplug()
    gateway.wire("meter-1").unplug()
    for device in ("air-1", "meter-1"):
        await gateway.tells(is_gone(device), log=f"device_unreadable device={device} why=unplugged")
    await gateway.go_on("level-1")
    gateway.wire("air-1").plug()
    gateway.wire("meter-1").plug()
    for device in ("air-1", "meter-1"):
        await gateway.tells(device_is(device, "ok"), log=f"device_readable device={device}")
    await gateway.loses_nothing()


async def test_a_port_that_is_not_permitted_is_reported_until_it_is(broker):
    async with Gateway(broker.url, wrap=unprivileged, start=False) as gateway:
        gateway.wire("air-1").link.chmod(0)
        await gateway.start()
        await gateway.tells(device_is("air-1", "not_permitted"), log="device_unreadable device=air-1 why=not_permitted")
        await gateway.go_on("level-1", "meter-1")
        gateway.wire("air-1").link.chmod(0o600)
        await gateway.tells(device_is("air-1", "ok"), log="device_readable device=air-1 was=not_permitted")
        await gateway.loses_nothing()


async def test_a_port_that_another_process_has_is_reported_with_its_name_until_that_ends(broker):
    async with Gateway(broker.url, start=False) as gateway:
        holder = (sys.executable, "-c", HOLD, str(gateway.wire("air-1").link))
        async with process(*holder, stdout=asyncio.subprocess.PIPE) as other:
            await other.stdout.readline()
            gateway.wire("air-1").reader_gone()  # it emptied the line when it opened it, and reads no more
            await gateway.start()
            await gateway.tells(device_is("air-1", "taken"), log="device_unreadable device=air-1 why=taken")
            assert f"(process {other.pid}) has it open" in gateway.health["devices"]["air-1"]["trouble"]["detail"]
            await gateway.go_on("level-1", "meter-1")
        await gateway.tells(device_is("air-1", "ok"), log="device_readable device=air-1 was=taken")
        await gateway.loses_nothing()


async def test_an_open_that_hangs_holds_up_neither_another_device_nor_a_stop(broker):
    async with Gateway(broker.url, wrap=hanging_open("dev/ttyAMA0")) as gateway:
        await gateway.tells(device_is("air-1", "silent"), log="alarm_raised device=air-1 alarm=silent")
        await gateway.go_on("level-1", "meter-1")
        stopping = asyncio.create_task(gateway.stop())
        await gateway.until(lambda: ended(gateway.agent.pid), STOPS_WITHIN)
        release(gateway.agent.pid)
        await stopping
        await gateway.start(wrap=lambda _: ())
        await gateway.tells(device_is("air-1", "ok"), log="alarm_cleared device=air-1 alarm=silent")
        await gateway.loses_nothing()


async def flood(gateway: Gateway, command: tuple[str, ...]) -> None:
    """Put something else than a sensor on the port of air-1, which speaks as fast as the kernel lets it."""
    wire = gateway.wire("air-1")
    await gateway.well("air-1", "level-1", "meter-1")
    before = memory(gateway.agent.pid)
    wire.unplug()
    master, slave = pty.openpty()
    tty.setraw(slave)
    wire.link.symlink_to(os.ttyname(slave))
    async with process(*command, stdout=master):
        await gateway.tells(device_counts("air-1", "overrun"), log="bad_data device=air-1 fault=overrun")
        await gateway.go_on("level-1", "meter-1", readings=5)
        assert memory(gateway.agent.pid) < before + MOST_MORE
    wire.link.unlink()
    os.close(master)
    os.close(slave)
    wire.plug()


async def test_a_device_that_floods_with_noise_disturbs_no_other(gateway):
    await flood(gateway, ("cat", "/dev/urandom"))
    await gateway.go_on("air-1")
    await gateway.loses_nothing()


async def test_a_device_that_floods_with_good_frames_disturbs_no_other(gateway, tmp_path):
    (tmp_path / "frames").write_bytes(packed([1] * 13) * 100_000)
    await flood(gateway, ("cat", str(tmp_path / "frames")))
    await gateway.go_on("level-1", "meter-1")
