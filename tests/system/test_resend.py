"""What the city has lost again is sent again when a technician asks for it."""

import asyncio
import sys

from tests.system.gateway import Gateway


async def resend(gateway, *options):
    """Run `roadside journal resend` as a technician does; returns its exit status and what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "journal", "resend", "--root", str(gateway.root), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def test_what_was_delivered_comes_again_as_doubles_and_an_uplink_that_is_not_there_is_told(broker):
    async with Gateway(broker.url) as gateway:
        await gateway.go_on("air-1")
        before = gateway.city.doubles

        status, printed = await resend(gateway, "--uplink", "city")
        assert status == 0
        assert "go up again, as history" in printed
        await gateway.until(lambda: gateway.city.doubles >= before + 5)
        assert await resend(gateway, "--uplink", "moon") == (1, "no uplink 'moon'; there are: city\n")
        await gateway.loses_nothing()
