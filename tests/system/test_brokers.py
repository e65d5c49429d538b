"""What a broker may do to an agent: each trouble is told, ends by itself, and costs nothing."""

import pytest

from hil.broker import Broker, Engine
from tests.brokers import password_file
from tests.system.gateway import Gateway, uplink_has
from tests.uplink.scripted import ScriptedBroker

PASSWORD = "/etc/roadside/password"  # noqa: S105 - the name of a file


@pytest.mark.parametrize("engine", list(Engine))
async def test_readings_and_an_outage_go_through_every_broker_we_name(engine):
    async with Broker(engine) as broker, Gateway(broker.url) as gateway:
        await gateway.go_on("air-1", "level-1", "meter-1")
        await gateway.link.cut()
        await gateway.says(uplink_has("city", "unreachable"))
        await gateway.link.restore()
        await gateway.tells(uplink_has("city", None), log="link_down uplink=city fault=closed")
        await gateway.loses_nothing()


async def test_a_broker_that_is_absent_at_start_is_found_when_it_comes(broker):
    async with Gateway(broker.url, start=False) as gateway:
        await gateway.link.cut()
        await gateway.start()
        await gateway.says(uplink_has("city", "unreachable"))
        await gateway.says(lambda said: said["journal"]["waiting"]["city"]["telemetry"] > 20)
        await gateway.link.restore()
        await gateway.tells(uplink_has("city", None), log="link_down uplink=city fault=unreachable")
        await gateway.loses_nothing()


async def test_a_broker_that_hangs_is_given_up_and_taken_again_when_it_answers(broker):
    async with Gateway(broker.url) as gateway:
        await gateway.go_on("air-1")
        broker.freeze()
        try:
            await gateway.says(lambda said: said["uplinks"]["city"]["fault"] in {"unacked", "timed_out"})
        finally:
            broker.thaw()
        await gateway.tells(uplink_has("city", None), log="link_down uplink=city fault=unacked")
        await gateway.loses_nothing()


async def test_a_connection_that_is_half_open_is_given_up_and_made_anew(gateway):
    await gateway.go_on("air-1")
    gateway.link.hang()
    await gateway.says(lambda said: said["uplinks"]["city"]["fault"] in {"unacked", "timed_out"})
    await gateway.link.cut()
    await gateway.link.restore()
    await gateway.tells(uplink_has("city", None), log="link_down uplink=city fault=unacked")
    await gateway.loses_nothing()


# --- a second uplink is in trouble, and the city hears of it on the first ---


def spare(url: str, **settings: str) -> dict[str, str]:
    given = {"url": url, "ack_within": "1 s", **settings}
    return {f"uplinks.spare.{key}": value for key, value in given.items()}


async def drains(gateway: Gateway) -> None:
    await gateway.cabinet.quiet()
    await gateway.says(lambda said: not any(said["journal"]["waiting"]["spare"].values()))
    await gateway.loses_nothing()


async def test_a_login_that_is_refused_is_told_until_the_password_is_right(broker, mosquitto, tmp_path):
    users = password_file(tmp_path, roadside="right")
    strict = mosquitto("allow_anonymous false", f"password_file {users}")
    settings = spare(strict.url, username="roadside", password_file=PASSWORD)
    async with Gateway(broker.url, settings=settings, start=False) as gateway:
        password = gateway.root / PASSWORD[1:]
        password.parent.mkdir(parents=True)
        password.write_text("wrong\n")
        await gateway.start()
        await gateway.tells(uplink_has("spare", "refused_login"), log="link_down uplink=spare fault=refused_login")
        await gateway.go_on("air-1", "level-1", "meter-1")
        password.write_text("right\n")
        await gateway.tells(uplink_has("spare", None), log="link_up uplink=spare")
        assert "wrong" not in gateway.log()
        await drains(gateway)


async def test_a_publish_that_is_refused_is_told_and_is_not_lost(broker, mosquitto, tmp_path):
    rules = tmp_path / "acl"
    rules.write_text("topic read #\n")
    strict = mosquitto(f"acl_file {rules}")
    async with Gateway(broker.url, settings=spare(strict.url)) as gateway:
        await gateway.tells(uplink_has("spare", "refused_publish"), log="publish_refused uplink=spare")
        await gateway.go_on("air-1", "level-1", "meter-1")
        rules.write_text("topic readwrite #\n")
        strict.stop()
        strict.start()  # a broker whose rules are changed may go on with the connection, and is asked once a minute
        await gateway.tells(uplink_has("spare", None), log="link_up uplink=spare")
        await drains(gateway)


async def test_one_acknowledgement_that_is_withheld_is_told_and_its_message_comes_again(broker):
    async with ScriptedBroker() as scripted, Gateway(broker.url, settings=spare(scripted.url)) as gateway:
        await gateway.until(lambda: any(topic.endswith("live") for topic in scripted.topics()))
        withheld = []

        def withhold_one(published):
            if withheld or not published.topic.endswith("live"):
                return 0
            withheld.append(published.payload)
            return None

        scripted.answer = withhold_one
        await gateway.until(lambda: withheld and scripted.connections == 2)
        await gateway.until(lambda: sum(one.payload in withheld for one in scripted.published) >= 1)
        await gateway.tells(
            lambda said: said["uplinks"]["spare"]["reconnects"] == 1, log="link_down uplink=spare fault=unacked"
        )
        await drains(gateway)


async def test_two_gateways_on_one_broker_do_not_disturb_each_other(broker):
    async with Gateway(broker.url) as one, Gateway(broker.url) as other:
        await one.go_on("air-1", "level-1", "meter-1")
        await other.go_on("air-1", "level-1", "meter-1")
        await one.link.cut()
        await other.go_on("air-1", "level-1", "meter-1")
        await one.link.restore()
        await one.loses_nothing()
        await other.loses_nothing()
        assert "link_down" not in other.log()
