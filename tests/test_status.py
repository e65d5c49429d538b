"""What `roadside status` prints of the agent's own account, in English and Thai, and its exit status."""

import asyncio
import json
from contextlib import contextmanager
from threading import Thread

import pytest

from agent import VERSION, i18n, logs
from agent.commands.status import lines, table, troubles
from agent.control import ControlServer
from agent.i18n import width
from tests.cli.roadside import roadside

DEVICE = {"driver": "plantower", "state": "ok", "values": {"pm2_5": {"ago": 1.2, "value": 12.0, "unit": "ug/m3"}}}
UPLINK = {"state": "online", "for": 60.0, "fault": "", "message": "", "broker": "a:1883", "acked": 17}


def document(**changes):
    return {
        "gateway": "pkt-0042",
        "version": VERSION,
        "running_for": 7300.0,
        "clock": {"synchronised": True, "source": "kernel", "uncertainty": 0.1},
        "devices": {"air-1": DEVICE, "water-level-1": {"driver": "a02yyuw", "state": "waiting", "values": {}}},
        "journal": {"waiting": {"city": {"telemetry": 3, "alarm": 1}}, "faults": {}},
        "uplinks": {"city": UPLINK},
    } | changes


@pytest.fixture(params=["en", "th"])
def language(request):
    i18n.install(request.param)
    yield request.param
    i18n.install("en")


@contextmanager
def agent_at(folder, answer):
    """Run a control socket where the command looks for it below `--root`, on a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    server = ControlServer(folder / "run/roadside/control", {"status": lambda _request: answer}, logs.get("control"))
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_all_is_well_in_english():
    assert list(lines(document())) == [
        f"pkt-0042, Roadside {VERSION}, running for 2 h",
        "",
        "air-1          ok       1 s ago  pm2_5 12 µg/m³",
        "water-level-1  waiting",
        "",
        "city: online (a:1883), 17 messages acknowledged, 4 readings waiting",
        "clock: synchronised by kernel",
    ]


def test_the_columns_stand_below_each_other_in_a_terminal_in_either_language(language):
    devices = {f"{'x' * size}-1": DEVICE | {"state": state} for size, state in ((1, "ok"), (9, "silent"), (4, "taken"))}
    rows = [line for line in lines(document(devices=devices)) if "pm2_5 " in line]

    assert len(rows) == 3
    assert len({width(row.partition("pm2_5")[0]) for row in rows}) == 1
    assert any("\u0e00" <= character <= "\u0e7f" for character in "".join(rows)) == (language == "th")


def test_a_table_of_nothing_is_nothing():
    assert list(table([])) == []


@pytest.mark.usefixtures("language")
def test_every_trouble_is_told_once():
    troubled = document(
        devices={
            "air-1": DEVICE | {"state": "unplugged", "trouble": {"port": "/dev/ttyUSB0", "detail": "it is gone"}},
            "level-1": DEVICE | {"state": "silent", "alarms": {"1": "silent"}},
            "level-2": DEVICE | {"alarms": {"2": "flood"}},
        },
        uplinks={"city": UPLINK | {"state": "connecting", "fault": "unreachable", "message": "10.0.0.9 refused"}},
        clock={"synchronised": False, "source": None, "uncertainty": None, "fault": "gnss_rollover"},
        journal={"waiting": {}, "faults": {"card": "mmcblk0 is full"}},
        configuration={"running": "last_good", "problems": ["gateway.toml:14: devices.air-1.driver: no such driver"]},
    )

    found = troubles(troubled)

    assert [text.partition(":")[0] for text in found[:4]] == ["air-1", "level-1", "level-2", "city"]
    assert "1024" in found.pop(4)
    for text, part in zip(
        found, ("/dev/ttyUSB0", "", "flood", "10.0.0.9 refused", "mmcblk0", "gateway.toml:14"), strict=True
    ):
        assert part in text
    assert all(any(text in line for line in lines(troubled)) for text in found)


def test_a_clock_that_is_not_set_is_said():
    clock = {"synchronised": False, "source": None, "uncertainty": None}

    assert "clock: not synchronised; readings are dated once it is" in list(lines(document(clock=clock)))


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("waiting", 0), ("silent", 2), ("taken", 2)])
def test_the_exit_status_says_whether_all_is_well(tmp_path, state, status):
    with agent_at(tmp_path, document(devices={"air-1": DEVICE | {"state": state}})):
        done = roadside("status", "--root", tmp_path)

    assert (done.returncode, done.stderr) == (status, "")


def test_for_machines_it_is_the_whole_document(tmp_path):
    with agent_at(tmp_path, document()):
        done = roadside("status", "--json", "--root", tmp_path)

    assert json.loads(done.stdout) == document()


@pytest.mark.parametrize("locale", ["C.UTF-8", "th_TH.UTF-8"])
def test_without_an_agent_it_says_how_to_start_one(tmp_path, locale):
    done = roadside("status", "--root", tmp_path, locale=locale)

    assert (done.returncode, done.stdout) == (1, "")
    assert "run/roadside/control: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_certificates_that_near_their_end_and_a_renewal_that_fails_are_troubles():
    certificates = {
        "gateway": {"state": "certificate_expires", "until": 1795346000, "days": 40},
        "broker": {"state": "certificate_expired", "until": 1795346000, "days": -1},
    }
    uplink = UPLINK | {"certificates": certificates, "renewal": "the key does not belong to it"}
    assert troubles(document(uplinks={"city": uplink})) == [
        "city: our certificate expires in 40 days; renew it",
        "city: the broker's certificate has expired; tell whoever runs it",
        "city: the renewed certificate or password is not used yet: the key does not belong to it",
    ]
    well = {"broker": {"state": "ok", "until": 1795346000, "days": None}}
    assert troubles(document(uplinks={"city": UPLINK | {"certificates": well}})) == []


def test_in_thai_the_brackets_are_thai_too():
    i18n.install("th")
    try:
        found = troubles(
            document(
                devices={
                    "air-1": DEVICE | {"state": "unplugged", "trouble": {"port": "", "detail": "the device is gone"}}
                },
                uplinks={
                    "city": UPLINK | {"fault": "unreachable", "message": "a:1 cannot be reached: Connection refused"}
                },
                journal={"waiting": {}, "faults": {"card": "[Errno 28] No space left on device"}},
            )
        )
    finally:
        i18n.install("en")
    assert ["gone" in text or "reach" in text or "space" in text for text in found] == [False] * 3
    assert "(อุปกรณ์หายไป)" in found[0]


@pytest.mark.parametrize("other", [document(version="0.0.9"), {"version": "0.0.9"}, {}])
def test_an_agent_of_another_version_is_told_and_its_document_shown_as_far_as_it_is_understood(tmp_path, other):
    with agent_at(tmp_path, other):
        done = roadside("status", "--root", tmp_path)
        raw = roadside("status", "--root", tmp_path, "--json")

    assert done.returncode == raw.returncode == 2
    assert f"this command of {VERSION}; restart the service" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(raw.stdout) == other


def test_units_are_written_as_people_write_them():
    values = {
        "power_factor": {"ago": 1.0, "value": 0.97, "unit": "/"},
        "latitude": {"ago": 1.0, "value": 7.84, "unit": "lat"},
        "vehicles": {"ago": 1.0, "value": 3, "unit": "count"},
    }
    [line] = [one for one in lines(document(devices={"a": DEVICE | {"values": values}})) if one.startswith("a ")]
    assert line.endswith("power_factor 0.97, latitude 7.84 °, vehicles 3")
