"""The agent itself is killed, hangs, or is restarted."""

import pytest

from hil.verdict import ends_well
from tests.scenarios.steps import SENSORS, goes_on, passes

pytestmark = pytest.mark.needs("agent", "account")


@pytest.mark.needs("link")
async def test_the_agent_is_killed_and_started_again(rig):
    await goes_on(rig, *SENSORS)
    await rig.link.hang()  # so that something waits
    await passes(rig, 0.5)
    await rig.agent.kill()
    await rig.link.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


@pytest.mark.needs("link")
async def test_the_agent_hangs_and_the_watchdog_makes_an_end_of_it(rig):
    await goes_on(rig, *SENSORS)
    await rig.link.hang()  # so that something waits
    await passes(rig, 0.5)
    await rig.agent.hang()
    await rig.link.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


@pytest.mark.needs("link")
@pytest.mark.settings({"journal.commit_interval": "1 h"})  # so that the card has none of it
async def test_the_agent_is_killed_three_times_while_the_network_is_away(rig):
    await goes_on(rig, *SENSORS)
    await rig.link.cut()
    for _ in range(3):
        await passes(rig, 0.7)
        await rig.agent.kill()
    await rig.link.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


@pytest.mark.needs("link")
async def test_an_update_restarts_the_agent_while_the_network_is_away(rig):
    await goes_on(rig, *SENSORS)
    await rig.link.cut()
    await passes(rig, 1.0)
    await rig.agent.restart()
    await passes(rig, 0.5)
    await rig.link.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


async def test_an_agent_that_is_stopped_says_goodbye(rig):
    await rig.until(lambda: rig.city.status() == "online")
    await rig.agent.stop()
    await rig.until(lambda: rig.city.status() == "stopped")
