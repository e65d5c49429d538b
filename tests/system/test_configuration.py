"""What `roadside run` does with a configuration that is wrong."""

import asyncio

from tests.system.gateway import HERE, Gateway

GOOD = (HERE / "gateway.toml").read_text("utf-8")
WRONG = GOOD.replace('"plantower"', '"plantowr"').replace("address = 1", "address = 999")


async def test_an_invalid_file_does_not_stop_a_gateway_that_had_a_valid_one(broker, tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(GOOD)
    async with Gateway(broker.url, config=config) as gateway:
        await gateway.go_on("air-1")
        await gateway.stop()
        config.write_text(WRONG)
        await gateway.start()
        await gateway.tells(
            lambda said: len(said.get("configuration", {}).get("problems", ())) == 2, log="configuration_last_good"
        )
        assert any("'plantowr' is not a driver" in one for one in gateway.health["configuration"]["problems"])
        await gateway.go_on("air-1", "level-1", "meter-1")
        await gateway.stop()
        config.write_text(GOOD)
        await gateway.start()
        await gateway.tells(lambda said: "configuration" not in said, log="configuration_invalid")
        await gateway.loses_nothing()


async def test_an_invalid_file_where_there_never_was_a_valid_one_ends_with_all_its_problems(broker, tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(WRONG)
    async with Gateway(broker.url, config=config, start=False) as gateway:
        await gateway.agent.start()
        assert await asyncio.wait_for(gateway.agent.ended(), 10) == 78
        log = gateway.log()
        assert "devices.air-1.driver" in log
        assert "devices.meter-1.address" in log
        assert "Traceback" not in log


async def test_a_file_that_is_missing_ends_with_the_same_status(broker, tmp_path):
    async with Gateway(broker.url, config=tmp_path / "no.toml", start=False) as gateway:
        await gateway.agent.start()
        assert await asyncio.wait_for(gateway.agent.ended(), 10) == 78
        assert "no.toml" in gateway.log()
        assert "Traceback" not in gateway.log()


async def test_a_second_agent_on_the_same_gateway_is_refused_and_the_first_never_notices(gateway):
    await gateway.go_on("air-1")
    second = gateway._process()
    await second.start()
    assert await asyncio.wait_for(second.ended(), 10) == 75
    assert f"another agent runs here already (process {gateway.agent.pid}" in gateway.log()
    await gateway.go_on("air-1", "level-1")
    assert (await gateway.status())["devices"]["air-1"]["state"] == "ok"
    await gateway.loses_nothing()


async def test_devices_that_are_gone_from_a_valid_file_are_told(broker, tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(GOOD)
    async with Gateway(broker.url, config=config) as gateway:
        await gateway.go_on("air-1")
        await gateway.stop()
        config.write_text(GOOD[: GOOD.index("[devices.level-1]")])
        await gateway.start()
        await gateway.until(lambda: "devices_removed" in gateway.log())
        assert "level-1" in gateway.log().partition("devices_removed")[2].partition("\n")[0]
