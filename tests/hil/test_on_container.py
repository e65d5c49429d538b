"""Some scenarios run in a container with every test run: those in which systemd has a part. `make hil` has them all."""

import pytest

from hil.rigs.base import Capability
from tests.hil.containers import container_rig
from tests.scenarios import test_agent, test_card, test_clock, test_people, test_plugs, test_power

SCENARIOS = [
    test_agent.test_the_agent_is_killed_and_started_again,
    test_agent.test_the_agent_hangs_and_the_watchdog_makes_an_end_of_it,
    test_agent.test_an_agent_that_is_stopped_says_goodbye,
    test_card.test_the_card_comes_up_read_only_and_the_city_is_told,
    test_clock.test_the_clock_is_not_known_until_noon,
    test_people.test_the_agent_dies_while_the_siren_sounds_and_the_siren_is_quiet,
    test_plugs.test_an_adapter_is_missing_when_the_gateway_starts,
    test_power.test_the_power_goes_during_an_alarm,
]


@pytest.fixture
async def rig():
    async with container_rig() as rig:
        yield rig


@pytest.mark.system
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__.removeprefix("test_"))
async def test_in_a_container(rig, scenario):
    lacks = rig.lacks(rig.description)
    if scenario.__module__.endswith("clock") and Capability.CLOCK in lacks:
        pytest.skip(lacks[Capability.CLOCK])
    await scenario(rig)
