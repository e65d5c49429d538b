"""Test mode as long as somebody holds it: what begins, what ends, and what was there before."""

import asyncio
from contextlib import aclosing
from functools import partial
from types import SimpleNamespace

import pytest

from agent.commanding.maintenance import Maintenance
from agent.commissioning.holding import LEASE, LONGEST, Commissioning
from agent.config.load import load
from agent.control import ControlError
from tests.uplink import virtual

SLACK = 20.0  # seconds, on a machine that has other work to do
CONFIG = load("""
[gateway]
id = "pkt-0001"
[uplinks.city]
url = "mqtts://broker.example"
certificate_file = "/etc/roadside/certificate.pem"
key_file = "/etc/roadside/key.pem"
[uplinks.spare]
url = "mqtt://broker.example"
[devices.panic-1]
driver = "button"
pin = 4
[devices.siren-1]
driver = "siren"
pin = 5
""")


class Cabinet:
    def __init__(self, *, stopping=False):
        self.testing = dict.fromkeys(CONFIG.devices, False)
        self.kept, self.filed, self.ordered, self.changes = {}, [], [], []
        self.loop = asyncio.get_running_loop()
        self.stopping = stopping
        pipelines = {
            name: SimpleNamespace(
                device=device,
                latest={},
                trouble_text="",
                set_testing=partial(self.set_testing, name),
            )
            for name, device in CONFIG.devices.items()
        }
        journal = SimpleNamespace(keep=self.kept.__setitem__, kept=self.kept.get)
        clock = SimpleNamespace(boot="0" * 32, boottime=lambda: round(self.loop.time() * 1e9))
        self.maintenance = Maintenance(pipelines, journal, clock)
        self.commissioning = Commissioning(
            pipelines,
            self.maintenance,
            CONFIG.uplinks,
            soundings={"siren-1": SimpleNamespace(order=self.order)},
            file=self.file,
            stopping=lambda: self.stopping,
        )

    def set_testing(self, name, testing):
        self.testing[name] = testing
        self.changes.append((self.loop.time(), testing))

    async def order(self, on, lasting):
        self.ordered.append((on, lasting))

    async def file(self, report):
        self.filed.append(report)


@pytest.fixture
async def cabinet():
    cabinet = Cabinet()
    yield cabinet
    cabinet.maintenance.stop()


async def test_all_devices_are_in_test_until_the_last_one_lets_go(cabinet):
    async with aclosing(cabinet.commissioning.hold({})) as first:
        header = await anext(first)
        assert set(header["tasks"]) == {"panic-1", "siren-1"}
        assert header["keys"] == [{"file": "/etc/roadside/key.pem"}, {}]
        assert all(cabinet.testing.values())
        async with aclosing(cabinet.commissioning.hold({})) as second:
            await anext(second)
        assert all(cabinet.testing.values())
    assert not any(cabinet.testing.values())
    assert cabinet.maintenance.left() == {}


async def test_a_test_that_the_city_began_for_longer_goes_on_for_as_long(cabinet):
    cabinet.maintenance.begin(["panic-1"], 3600)
    async with aclosing(cabinet.commissioning.hold({})) as held:
        await anext(held)
        assert cabinet.maintenance.left() == pytest.approx({"panic-1": 3600.0, "siren-1": LEASE}, abs=SLACK)
    assert cabinet.maintenance.left() == pytest.approx({"panic-1": 3600.0}, abs=SLACK)
    assert cabinet.testing == {"panic-1": True, "siren-1": False}


async def test_one_that_was_about_to_end_ends_when_it_would_have(cabinet):
    cabinet.maintenance.begin(["panic-1"], 30)
    async with aclosing(cabinet.commissioning.hold({})) as held:
        await anext(held)
        assert cabinet.maintenance.left()["panic-1"] == pytest.approx(LEASE, abs=SLACK)
    assert 0 < cabinet.maintenance.left()["panic-1"] <= 30


def test_what_is_held_is_renewed_for_a_quarter_of_an_hour_and_no_longer():
    async def hold():
        cabinet, loop = Cabinet(), asyncio.get_running_loop()
        async with aclosing(cabinet.commissioning.hold({})) as held:
            await anext(held)
            with pytest.raises(StopAsyncIteration):
                await anext(held)
            assert loop.time() == pytest.approx(LONGEST)
        ended = [at for at, testing in cabinet.changes if not testing]
        assert ended
        assert min(ended) == pytest.approx(LONGEST)

    virtual.run(hold())


async def test_an_agent_that_stops_leaves_the_end_to_the_lease(cabinet):
    async with aclosing(cabinet.commissioning.hold({})) as held:
        await anext(held)
        cabinet.stopping = True
    assert cabinet.maintenance.left() == pytest.approx({"panic-1": LEASE, "siren-1": LEASE}, abs=SLACK)


async def test_an_output_is_switched_by_who_commissions_and_for_moments_only(cabinet):
    with pytest.raises(ControlError, match="only while somebody commissions"):
        await cabinet.commissioning.switch({"device": "siren-1", "for": 1})
    async with aclosing(cabinet.commissioning.hold({})) as held:
        await anext(held)
        for wrong in ({"device": "panic-1", "for": 1}, {"device": "siren-1"}, {"device": "siren-1", "for": 60}):
            with pytest.raises(ControlError):
                await cabinet.commissioning.switch(wrong)
        assert await cabinet.commissioning.switch({"device": "siren-1", "for": 1}) == {"on": True, "for": 1}
    assert cabinet.ordered == [(True, 1)]


async def test_a_report_is_filed_as_it_is_and_nothing_else_goes_with_it(cabinet):
    await cabinet.commissioning.file({"do": "commissioned", "report": "{}", "unsigned": "no key", "more": 1})
    assert cabinet.filed == [{"report": "{}", "unsigned": "no key"}]
    for wrong in ({}, {"report": 1}, {"report": "x" * 50_000}):
        with pytest.raises(ControlError):
            await cabinet.commissioning.file(wrong)
