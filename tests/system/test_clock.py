"""A gateway without a battery clock, before the network has set it."""

from pathlib import Path

from hil.audit import TOLERANCE
from hil.packs import date
from tests.system.gateway import Gateway
from tests.system.troubles import unsynchronised

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "agent/example/gateway.toml"
CABINET = ROOT / "hil/cabinet.toml"


async def test_before_the_clock_is_right_telemetry_waits_and_an_alarm_goes_up_undated(broker):
    async with Gateway(broker.url, wrap=unsynchronised, synchronised=False) as gateway:
        await gateway.until(lambda: gateway.cabinet.board.claimed(27))
        gateway.cabinet.devices["panic-1"].press()
        await gateway.until(lambda: gateway.city.alarms, 5.0)
        alarm = gateway.city.alarms[0]
        assert alarm.utc is None
        said = await gateway.says(lambda said: said["journal"]["waiting"]["city"]["telemetry"] > 30)
        assert not said["clock"]["synchronised"]
        assert not said["journal"]["waiting"]["city"]["alarm"]
        assert not any((one.gateway, one.stream) == (gateway.id, "telemetry") for one in gateway.city.received)

        gateway.synchronise()
        await gateway.tells(lambda said: said["clock"]["synchronised"], log="clock_anchored source=timesyncd")
        await gateway.until(lambda: gateway.city.anchors)
        assert alarm.boot == gateway.city.anchors[0].of_boot
        pressed = gateway.cabinet.devices["panic-1"].emitted[0]
        utc, _ = date(alarm.boot, alarm.boottime, gateway.city.anchors)
        assert abs(utc - pressed.at) < TOLERANCE
        await gateway.loses_nothing()


async def test_without_any_time_server_a_gnss_receiver_dates_where_it_is_configured_to(broker):
    async with Gateway(
        broker.url,
        config=EXAMPLE,
        plan=CABINET,
        settings={"clock.gnss": "source"},
        wrap=unsynchronised,
        synchronised=False,
    ) as gateway:
        await gateway.tells(lambda said: said["clock"]["source"] == "gnss", log="clock_anchored source=gnss")
        assert gateway.health["clock"]["fault"] is None
        await gateway.until(lambda: any(one.stream == "telemetry" for one in gateway.city.received))
        account = await gateway.loses_nothing()
        assert not account.misdated


async def test_without_any_time_server_a_gnss_receiver_that_is_a_witness_dates_nothing(broker):
    async with Gateway(broker.url, config=EXAMPLE, plan=CABINET, wrap=unsynchronised, synchronised=False) as gateway:
        said = await gateway.says(lambda said: said["running_for"] > 11)  # two looks at a receiver that has a fix
        assert "value" in said["devices"]["gnss-1"]["values"]["latitude"]
        assert said["clock"]["source"] is None
        assert said["utc"] is None
        assert not gateway.city.anchors
