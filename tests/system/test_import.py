"""A broken gateway's journal on its replacement: what the city has at the end is complete, whatever could be saved."""

import asyncio
import shutil
import sys
from contextlib import asynccontextmanager

import aiomqtt
import pytest

from agent.receiver import NotUnderstoodError, Receiver
from tests.system.gateway import HERE, Gateway
from tests.system.test_restarts import waiting

CARD = "var/lib/roadside"
TMPFS = "run/roadside"


@asynccontextmanager
async def receiver_of(broker, gateway):
    """The reference receiver, from before the agent's first message on."""
    receiver = Receiver()

    async def take():
        async for message in client.messages:
            try:
                receiver.take(str(message.topic), message.payload)
            except NotUnderstoodError:
                continue  # status, about and health

    port = int(broker.url.rpartition(":")[2])
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(f"roadside/v1/{gateway}/#", qos=1)
        task = asyncio.create_task(take())
        yield receiver
        task.cancel()
        await asyncio.wait([task])


async def bring(gateway, old):
    """Run the command on the replacement, which has the same configuration; returns what it printed."""
    file = gateway.root / "gateway.toml"
    file.write_text((HERE / "gateway.toml").read_text().replace("pkt-0001", gateway.id))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "journal", "import", old, "--config", file, "--root", gateway.root),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return printed.decode()


def carry_away(gateway, old, *, tmpfs):
    """Take the card out of a machine, and with luck a copy of its tmpfs; what is left is a new machine."""
    for folder in (CARD, TMPFS):
        if folder == CARD or tmpfs:
            shutil.copytree(gateway.root / folder, old / folder, ignore=shutil.ignore_patterns("control"))
        shutil.rmtree(gateway.root / folder)


@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_what_waited_on_a_broken_gateway_goes_up_from_its_replacement(broker, tmp_path, ending):
    async with Gateway(broker.url, start=False) as gateway, receiver_of(broker, gateway.id) as receiver:
        await gateway.start()
        await gateway.go_on("air-1", "level-1", "meter-1")
        await gateway.link.cut()
        await gateway.says(waiting(30))
        await getattr(gateway, ending)()
        carry_away(gateway, tmp_path / "old", tmpfs=ending == "kill")

        assert "readings brought" in await bring(gateway, tmp_path / "old")
        assert "nothing to bring" in await bring(gateway, tmp_path / "old")

        await gateway.link.restore()
        await gateway.start()
        await gateway.go_on("air-1", "level-1", "meter-1")
        await gateway.loses_nothing()
        assert any(one.lane == "history" for one in gateway.city.received)
        assert len({series.epoch for series in receiver.accounts if series.stream == "telemetry"}) >= 2
        assert not any(account.missing() for account in receiver.accounts.values())


async def test_of_a_gateway_that_died_with_its_memory_the_city_knows_what_will_never_come(broker, tmp_path):
    async with Gateway(broker.url, start=False) as gateway, receiver_of(broker, gateway.id) as receiver:
        await gateway.start()
        await gateway.go_on("air-1", "level-1", "meter-1")
        await gateway.link.cut()
        await gateway.says(waiting(30))
        await gateway.kill()
        [epoch] = {series.epoch for series in receiver.accounts}
        carry_away(gateway, tmp_path / "old", tmpfs=False)

        await bring(gateway, tmp_path / "old")

        await gateway.link.restore()
        await gateway.start()
        await gateway.until(
            lambda: all(
                account.lost_from is not None for series, account in receiver.accounts.items() if series.epoch == epoch
            )
        )
        await gateway.says(lambda said: not any(said["journal"]["waiting"]["city"].values()))
        account = next(
            one for series, one in receiver.accounts.items() if (series.epoch, series.stream) == (epoch, "telemetry")
        )
        await gateway.until(lambda: account.received.covers(1, account.lost_from - 1))
        assert not any(one.missing() for one in receiver.accounts.values())
