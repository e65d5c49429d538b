"""The way to a real mosquitto, broken at each step: which one is told, and the ones behind it are not tried."""

import time
from socketserver import StreamRequestHandler, UnixStreamServer
from threading import Thread

import pytest

from agent.doctor import network
from agent.doctor.finding import Severity
from tests.brokers import free_port, password_file
from tests.doctor.tree import StillClock, Tree
from tests.uplink.authority import Authority

ACL = "pattern write roadside/v1/%u/did\n"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


def serve(mosquitto, authority, pair, *settings):
    lines = [f"certfile {pair.certificate}", f"keyfile {pair.key}", f"cafile {authority.certificate}", *settings]
    return mosquitto(*lines)


def secured(tree, broker, authority, *lines):
    """Have the uplink go to a broker with TLS; the authority's certificate lies on the gateway."""
    tree.write("etc/roadside/ca.pem", authority.certificate.read_text())
    tree.uplink(f"mqtts://localhost:{broker.port}", 'ca_file = "/etc/roadside/ca.pem"', *lines)


def way(tree, *, clock_is_wrong=False):
    """Return the last step that was tried, how bad it is, and what is said."""
    found = list(network.findings(tree.site(), clock_is_wrong=clock_is_wrong))
    assert all(one.severity is Severity.FINE for one in found[:-1] if one.name != "network.login")
    return found[-1].name, found[-1].severity, found[-1].what


def test_a_way_without_an_obstacle(tree, mosquitto, authority):
    secured(tree, serve(mosquitto, authority, authority.broker()), authority)
    name, severity, what = way(tree)
    assert (name, severity) == ("network.publish", Severity.FINE)
    assert "acknowledges a message within" in what


def test_a_name_that_nobody_knows(tree):
    tree.uplink("mqtt://broker.invalid")
    assert way(tree)[:2] == ("network.name", Severity.ERROR)


def test_a_network_to_which_there_is_no_way(tree):
    tree.uplink("mqtt://[fe80::1]")  # link-local without an interface
    assert way(tree)[:2] == ("network.route", Severity.ERROR)


def test_a_port_at_which_nobody_listens(tree):
    tree.uplink(f"mqtt://127.0.0.1:{free_port()}")
    name, severity, what = way(tree)
    assert (name, severity, "nobody listens" in what) == ("network.tcp", Severity.ERROR, True)


def test_a_broker_of_another_authority(tree, mosquitto, authority, tmp_path):
    secured(tree, serve(mosquitto, authority, authority.broker()), Authority(tmp_path / "another"))
    name, severity, what = way(tree)
    assert (name, severity, "unknown authority" in what) == ("network.tls", Severity.ERROR, True)


def test_a_certificate_for_another_name(tree, mosquitto, authority):
    pair = authority.broker("other", "subjectAltName = DNS:other.example")
    secured(tree, serve(mosquitto, authority, pair), authority)
    name, _severity, what = way(tree)
    assert (name, "another name" in what) == ("network.tls", True)


def test_a_certificate_that_has_expired(tree, mosquitto, authority):
    secured(tree, serve(mosquitto, authority, authority.broker(start=-30, end=-1)), authority)
    name, _severity, what = way(tree)
    assert (name, "has expired" in what) == ("network.tls", True)


@pytest.mark.parametrize("dates", [{"start": -30, "end": -1}, {"start": 10, "end": 30}])
def test_while_the_clock_is_wrong_no_date_of_a_certificate_is_blamed(tree, mosquitto, authority, dates):
    secured(tree, serve(mosquitto, authority, authority.broker(**dates)), authority)
    name, _severity, what = way(tree, clock_is_wrong=True)
    assert (name, "the clock is wrong" in what) == ("network.tls", True)


def test_a_certificate_that_is_not_yet_valid_although_the_clock_is_right(tree, mosquitto, authority):
    secured(tree, serve(mosquitto, authority, authority.broker(start=10, end=30)), authority)
    assert "not yet valid, and the clock here is right" in way(tree)[2]


def test_a_certificate_that_ends_soon(tree, mosquitto, authority):
    tree.clock = StillClock(utc=time.time_ns())
    secured(tree, serve(mosquitto, authority, authority.broker(start=-80, end=20)), authority)
    found = [one for one in network.findings(tree.site(), clock_is_wrong=False) if one.severity is Severity.WARNING]
    assert ["ends in 19 days" in one.what for one in found] == [True]


def test_a_broker_that_wants_a_certificate_of_ours(tree, mosquitto, authority):
    secured(tree, serve(mosquitto, authority, authority.broker(), "require_certificate true"), authority)
    name, severity, what = way(tree)
    assert (name, severity, "refuses our certificate" in what) == ("network.login", Severity.ERROR, True)


def test_a_login_that_is_refused(tree, mosquitto, tmp_path):
    users = password_file(tmp_path, **{"pkt-0042": "right"})
    broker = mosquitto("allow_anonymous false", f"password_file {users}")
    tree.write("etc/roadside/credentials/password", "wrong")
    tree.uplink(broker.url, 'username = "pkt-0042"', 'password_credential = "roadside_password"')
    assert way(tree)[:2] == ("network.login", Severity.ERROR)
    tree.write("etc/roadside/credentials/password", "right")
    assert way(tree)[:2] == ("network.publish", Severity.FINE)


def test_a_password_that_is_missing(tree, mosquitto):
    tree.uplink(mosquitto().url, 'username = "pkt-0042"', 'password_file = "/etc/roadside/city.password"')
    name, severity, what = way(tree)
    assert (name, severity, "cannot read the password" in what) == ("network.login", Severity.ERROR, True)


@pytest.mark.parametrize(
    ("text", "severity"), [("pattern write elsewhere/%u/#\n", Severity.ERROR), (ACL, Severity.FINE)]
)
def test_access_rules_that_forbid_what_we_send(tree, mosquitto, tmp_path, text, severity):
    rules = tmp_path / "rules"
    rules.touch(mode=0o600)
    rules.write_text(text)
    tree.uplink(mosquitto(f"acl_file {rules}").url, 'username = "pkt-0042"')
    assert way(tree)[:2] == ("network.publish", severity)


def test_the_agent_that_is_online_is_not_thrown_off(tree, mosquitto):
    broker = mosquitto()
    tree.uplink(broker.url)
    uplink = {"state": "online", "broker": f"127.0.0.1:{broker.port}", "acked": 17, "refused": {}}
    tree.status = {"uplinks": {"city": uplink}, "devices": {}, "clock": {}}
    found = {one.name: one.what for one in network.findings(tree.site(), clock_is_wrong=False)}
    assert "17 messages were acknowledged" in found["network.login"]
    assert "acknowledges what the agent sends" in found["network.publish"]


class Mumbling(StreamRequestHandler):
    """Answers, and is not understood."""

    def handle(self):
        self.rfile.readline()
        self.wfile.write(b"hm\n")


def test_nor_is_one_that_may_be_online_but_cannot_be_asked(short_folder, mosquitto):
    tree = Tree(short_folder / "root")
    tree.uplink(mosquitto().url)
    (tree.root / "run/roadside").mkdir(parents=True)
    with UnixStreamServer(str(tree.root / "run/roadside/control"), Mumbling) as server:
        listener = Thread(target=server.serve_forever, args=(0.01,))
        listener.start()
        assert way(tree)[:2] == ("network.login", Severity.UNKNOWN)
        server.shutdown()
        listener.join()


def test_what_the_broker_has_refused_the_agent_is_told(tree, mosquitto):
    broker = mosquitto()
    tree.uplink(broker.url)
    uplink = {"state": "online", "broker": broker.url, "acked": 1, "refused": {"Not authorized": 3}}
    tree.status = {"uplinks": {"city": uplink}, "devices": {}, "clock": {}}
    assert way(tree)[:2] == ("network.publish", Severity.ERROR)
