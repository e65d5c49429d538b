"""A gateway without a battery clock, before the network has set it."""

from hil.audit import TOLERANCE
from hil.packs import date
from tests.system.gateway import Gateway
from tests.system.troubles import unsynchronised


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
