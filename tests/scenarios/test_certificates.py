"""The broker's certificate expires, and is renewed."""

import pytest

from hil.verdict import ends_well
from tests.scenarios.doorman import Doorman
from tests.scenarios.steps import SENSORS, goes_on
from tests.uplink.authority import Authority

pytestmark = pytest.mark.needs("agent", "account")


async def test_the_certificate_of_the_broker_expired_at_night(rig, tmp_path):
    authority = Authority(tmp_path / "authority")
    good, expired = authority.broker(), authority.broker("expired", start=-30, end=-1)
    async with Doorman(rig.city.port, good) as door:
        url = f"mqtts://localhost:{door.port}"
        await rig.agent.gets("/etc/roadside/ca.pem", authority.certificate.read_bytes())
        await rig.agent.restart({"uplinks.city.url": url, "uplinks.city.ca_file": "/etc/roadside/ca.pem"})
        await goes_on(rig, *SENSORS)
        await door.shows(expired)
        await rig.until_log("expired")
        await door.shows(good)
        await goes_on(rig, *SENSORS)
        await ends_well(rig)
