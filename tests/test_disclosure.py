"""What a receiver that is given a part learns of the rest: nothing."""

import json

from agent.disclosure import part_for
from agent.selection import Selection
from tests.uplink.outbox import uplink

VALUES = {"pm2_5": {"value": 12.0, "unit": "ug/m3"}, "pm10": {"reason": "silent"}}
HEALTH = {
    "gateway": "pkt-0042",
    "version": "1",
    "running_for": 5.0,
    "utc": None,
    "clock": {"synchronised": False},
    "devices": {
        "air-1": {
            "driver": "plantower",
            "state": "ok",
            "values": VALUES,
            "alarms": {"c0ffee": "smog"},
            "faults": {"cut": 1},
        },
        "secret-1": {"driver": "line", "state": "silent", "values": {}},
    },
    "journal": {
        "epoch": "e",
        "next": {"telemetry": 7},
        "waiting": {"city": {"telemetry": 1}, "partner": {"telemetry": 2}},
        "faults": {"card": "/secret"},
    },
    "uplinks": {"city": {"message": "secret.example"}, "partner": {"state": "online"}},
    "failures": {"uplink city": 1},
    "configuration": {"problems": ["devices.secret-1: ..."]},
    "something_new": "secret",
}
ABOUT = {
    "gateway": "pkt-0042",
    "latitude": 7.8,
    "devices": {
        "air-1": {"driver": "plantower", "quantities": {"pm2_5": "ug/m3", "pm10": "ug/m3"}, "label": {"en": "Air"}},
        "secret-1": {"driver": "line", "quantities": {}},
    },
}


def part(document, **settings):
    made = part_for("partner", Selection(uplink(id="partner", **settings)), document)
    assert not any(word in json.dumps(made) for word in ("secret", "city"))
    return made


def test_health_speaks_of_its_devices_quantities_and_uplink_alone():
    made = part(HEALTH, devices=("air-1",), quantities=("pm2_5",))

    assert made["devices"] == {
        "air-1": {"driver": "plantower", "state": "ok", "faults": {"cut": 1}, "values": {"pm2_5": VALUES["pm2_5"]}}
    }
    assert made["uplinks"] == {"partner": {"state": "online"}}
    assert made["journal"] == {"epoch": "e", "next": {"telemetry": 7}, "waiting": {"partner": {"telemetry": 2}}}


def test_alarms_are_named_where_all_alarms_of_the_devices_go_up():
    assert part(HEALTH, devices=("air-1",))["devices"]["air-1"]["alarms"] == {"c0ffee": "smog"}
    assert "alarms" not in part(HEALTH, devices=("air-1",), alarms=False)["devices"]["air-1"]


def test_about_describes_its_devices_and_quantities_alone():
    made = part(ABOUT, devices=("air-1",), quantities=("pm10",))

    assert made == {
        "gateway": "pkt-0042",
        "latitude": 7.8,
        "devices": {"air-1": {"driver": "plantower", "quantities": {"pm10": "ug/m3"}, "label": {"en": "Air"}}},
    }
