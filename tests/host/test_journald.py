"""What journald is told, byte for byte, by an independent reading of its protocol."""

import io
import logging
import socket
import struct

import pytest

from agent import logs
from agent.host.journald import JournaldHandler


def read(datagram):
    """Return the fields of an entry."""
    fields = {}
    while datagram:
        head, _, rest = datagram.partition(b"\n")
        if b"=" in head:
            key, _, value = head.partition(b"=")
            datagram = rest
        else:
            key, (size,) = head, struct.unpack("<Q", rest[:8])
            value, datagram = rest[8 : 8 + size], rest[8 + size + 1 :]
        fields[key.decode()] = value.decode()
    return fields


@pytest.fixture
def journald(short_folder):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(short_folder / "socket"))
        listener.setblocking(False)
        yield listener, short_folder / "socket"


@pytest.fixture
def told(journald):
    """Return an event's fields as journald gets them, and what went to the other handler."""
    listener, path = journald
    stream = io.StringIO()
    handler = JournaldHandler(logs.for_journald(stream), path)
    logger = logging.Logger("roadside.sampler", logging.DEBUG)
    logger.addHandler(handler)
    yield logs.Log(logger), lambda: read(listener.recv(65536)), stream
    handler.close()


def test_an_event_comes_with_its_fields(told):
    log, fields, _ = told
    log.warning("port_lost", device="air-1", fault="unplugged", seconds=1.5, detail=None)
    assert fields() == {
        "MESSAGE": "port_lost device=air-1 fault=unplugged seconds=1.5",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "roadside",
        "ROADSIDE_EVENT": "port_lost",
        "ROADSIDE_PART": "roadside.sampler",
        "ROADSIDE_DEVICE": "air-1",
        "ROADSIDE_FAULT": "unplugged",
        "ROADSIDE_SECONDS": "1.5",
    }


def test_a_line_break_in_a_value_makes_no_field_of_its_own(told):
    log, fields, _ = told
    log.error("port_lost", detail="first\nPRIORITY=7\n")
    said = fields()
    assert said["ROADSIDE_DETAIL"] == "first\nPRIORITY=7\n"
    assert said["PRIORITY"] == "3"
    assert "\n" not in said["MESSAGE"]


def test_a_traceback_is_one_field(told):
    log, fields, _ = told
    try:
        raise ZeroDivisionError("no")
    except ZeroDivisionError as error:
        log.error("part_failed", trace=error)
    assert "ZeroDivisionError: no" in fields()["ROADSIDE_TRACE"]


def test_what_does_not_fit_into_a_datagram_goes_the_other_way(told):
    log, _, stream = told
    log.error("long", detail="x" * 10_000_000)
    assert stream.getvalue().startswith("<3>long detail=xxx")


def test_without_journald_nothing_is_lost(told, journald):
    log, _, stream = told
    journald[1].unlink()
    log.info("started")
    assert stream.getvalue() == "<6>started\n"
