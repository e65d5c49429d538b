"""The servers that cities have, each a private process on loopback: its own folder, free ports, ended by its pid.

mosquitto and iotcore come with what the tests need anyway; `make interop` fetches the others.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

from tests.brokers import free_port

FETCHED = Path(__file__).parents[2] / ".interop"
READY_WITHIN = 60.0  # seconds: RabbitMQ takes five on a quiet machine
STOPS_WITHIN = 20.0  # seconds
BASE = "roadside/v1/pkt-0042/"
FORBIDDEN = BASE + "anchors"
RUN_IOTCORE = """
import signal, sys, iotcore
broker = iotcore.Broker(config_path=sys.argv[1])
broker.start()
signal.sigwait([signal.SIGTERM])
broker.stop()
"""
BANNER = "Doc guides:"  # of RabbitMQ, at each start
LIMIT = 4096  # bytes: of a message, where a server can be told


class Papers(NamedTuple):
    """Files with which a server shows who it is, and knows its clients."""

    authority: Path
    certificate: Path
    key: Path


class Server(ABC):
    """A server at one port for MQTT and, where it has that, one for WebSocket."""

    web = True
    limits = True  # it can be told how large a message may be
    protocols: ClassVar[tuple[str, ...]] = ("3.1.1",)
    path = ""  # of the WebSocket
    stops_with = signal.SIGTERM

    def __init__(self, folder: Path, *, limit: int | None = None, papers: Papers | None = None) -> None:
        """Take a folder for all that it writes, the most bytes of a message, and what makes the port for MQTT TLS."""
        self.port, self.web_port = free_port(), free_port()
        self._folder = folder
        self._limit = limit
        self._papers = papers
        self._processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir()

    @classmethod
    @abstractmethod
    def missing(cls) -> str:
        """Return what is not here; "" if it can start."""

    @abstractmethod
    def commands(self) -> list[tuple[list[str | Path], dict[str, str]]]:
        """Write the configuration and return what to run, with environments."""

    def url(self, protocol: str) -> str:  # noqa: ARG002 - where a port is for one version
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def web_url(self) -> str:
        return f"ws://127.0.0.1:{self.web_port}{self.path}"

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        with (self._folder / "log").open("ab") as log:
            for command, environment in self.commands():
                self._processes.append(
                    subprocess.Popen(
                        ["setpriv", "--pdeathsig", "TERM", *command],  # also where pytest itself is killed
                        stdout=log,
                        stderr=log,
                        env=os.environ | environment,
                        start_new_session=True,
                    )
                )
        deadline = time.monotonic() + READY_WITHIN
        for port in (self.port, self.web_port) if self.web else (self.port,):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                except (ConnectionRefusedError, TimeoutError):
                    assert self._processes[-1].poll() is None, (self._folder / "log").read_text()
                    assert time.monotonic() < deadline, (self._folder / "log").read_text()
                    time.sleep(0.05)
                else:
                    break

    def stop(self) -> None:
        """End it in good order. Harmless to call again."""
        while self._processes:
            process = self._processes.pop()
            process.send_signal(self.stops_with)
            try:
                process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Mosquitto(Server):
    """Debian's."""

    protocols = ("5", "3.1.1")

    @classmethod
    def missing(cls) -> str:
        return "" if _mosquitto() else "mosquitto is not installed"

    def commands(self) -> list[tuple[list[str | Path], dict[str, str]]]:
        rules = self._folder / "acl"
        rules.touch(mode=0o600)
        rules.write_text(f"topic readwrite #\ntopic deny {FORBIDDEN}\n{self.rule}\n")
        lines = [
            f"listener {self.port} 127.0.0.1",
            *self._encrypted(),
            f"listener {self.web_port} 127.0.0.1",
            "protocol websockets",
            f"user {getpass.getuser()}",
            "allow_anonymous true",
            f"acl_file {rules}",
            "persistence true",
            f"persistence_location {self._folder}/",
            "max_queued_messages 0",
            *([f"{self.limiting} {self._limit}"] if self._limit else []),
        ]
        (self._folder / "conf").write_text("\n".join(lines) + "\n")
        program = _mosquitto()
        assert program is not None
        return [([program, "-c", self._folder / "conf"], {})]

    def _encrypted(self) -> list[str]:
        if self._papers is None:
            return []
        files = [f"cafile {self._papers.authority}", f"certfile {self._papers.certificate}"]
        return [*files, f"keyfile {self._papers.key}", "require_certificate true"]

    limiting = "message_size_limit"
    rule = ""


class MosquittoThatSays(Mosquitto):
    """The same, which names its limit at the login."""

    limiting = "max_packet_size"


class MosquittoWithPattern(Mosquitto):
    """The same, whose receivers may read by a rule that asks for no login."""

    rule = "pattern read roadside/#"


class Iotcore(Server):
    """rumqttd in a wheel; MQTT 5 and 3.1.1 have ports of their own."""

    protocols = ("5", "3.1.1")

    @classmethod
    def missing(cls) -> str:
        return "" if importlib.util.find_spec("iotcore") else "iotcore has no wheel here"

    def __init__(self, folder: Path, *, limit: int | None = None, papers: Papers | None = None) -> None:
        super().__init__(folder, limit=limit, papers=papers)
        self.old_port = free_port()

    def url(self, protocol: str) -> str:
        return f"mqtt://127.0.0.1:{self.port if protocol == '5' else self.old_port}"

    def commands(self) -> list[tuple[list[str | Path], dict[str, str]]]:
        lines = ["id = 0", "[router]", "id = 0", "max_connections = 100", "max_outgoing_packet_count = 200"]
        lines += ["max_segment_size = 104857600", "max_segment_count = 10"]
        for section, port in (("v5.1", self.port), ("v4.1", self.old_port), ("ws.1", self.web_port)):
            lines += [
                f"[{section}]",
                f'name = "{section}"',
                f'listen = "127.0.0.1:{port}"',
                "next_connection_delay_ms = 1",
            ]
            lines += [f"[{section}.connections]", "connection_timeout_ms = 60000", "max_inflight_count = 100"]
            lines += [f"max_payload_size = {self._limit or 1_000_000}"]
        if self._papers is not None:
            lines += ["[v5.1.tls]", f'capath = "{self._papers.authority}"']
            lines += [f'certpath = "{self._papers.certificate}"', f'keypath = "{self._papers.key}"']
        settings = self._folder / "conf.toml"
        settings.write_text("\n".join(lines) + "\n")
        return [([sys.executable, "-c", RUN_IOTCORE, settings], {})]


class Nats(Server):
    """Debian's nats-server with its MQTT part, which keeps sessions in JetStream."""

    path = "/mqtt"

    @classmethod
    def missing(cls) -> str:
        return "" if (FETCHED / "debian/usr/sbin/nats-server").exists() else "nats-server: see make interop"

    def commands(self) -> list[tuple[list[str | Path], dict[str, str]]]:
        subject = FORBIDDEN.replace("/", ".")
        (self._folder / "conf").write_text(
            f'listen: "127.0.0.1:{free_port()}"\nserver_name: roadside\nno_auth_user: gateway\n'
            f'jetstream {{ store_dir: "{self._folder}/store" }}\n'
            f"accounts {{ city {{ jetstream: enabled, users: [{{ user: gateway, password: secret, "
            f'permissions: {{ publish: {{ deny: ["{subject}"] }} }} }}] }} }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.port}"{self._encrypted()} }}\n'
            f'websocket {{ listen: "127.0.0.1:{self.web_port}", no_tls: true }}\n'
            + (f"max_payload: {self._limit}\n" if self._limit else "")
        )
        return [([FETCHED / "debian/usr/sbin/nats-server", "-c", self._folder / "conf"], {})]

    def _encrypted(self) -> str:
        if self._papers is None:
            return ""
        authority, certificate, key = self._papers
        return f', tls {{ ca_file: "{authority}", cert_file: "{certificate}", key_file: "{key}", verify: true }}'


class RabbitMq(Server):
    """Debian's rabbitmq-server with its MQTT plug-in, and an epmd of its own."""

    path = "/ws"
    limits = False

    @classmethod
    def missing(cls) -> str:
        return "" if (FETCHED / "debian/usr/sbin/rabbitmq-server").exists() else "rabbitmq-server: see make interop"

    def __init__(self, folder: Path, *, limit: int | None = None, papers: Papers | None = None) -> None:
        super().__init__(folder, limit=limit, papers=papers)
        self._names, self._nodes, self._amqp = free_port(), free_port(), free_port()

    def commands(self) -> list[tuple[list[str | Path], dict[str, str]]]:
        (erlang,) = (FETCHED / "debian/usr/lib/erlang").glob("erts-*")
        (rabbit,) = (FETCHED / "debian/usr/lib/rabbitmq/lib").iterdir()
        self._write_erl(erlang)
        (self._folder / "enabled_plugins").write_text("[rabbitmq_mqtt,rabbitmq_web_mqtt].\n")
        (self._folder / "definitions.json").write_text(json.dumps(_definitions()))
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._amqp}\n{self._listener()}"
            f"web_mqtt.tcp.ip = 127.0.0.1\nweb_mqtt.tcp.port = {self.web_port}\n"
            f"load_definitions = {self._folder}/definitions.json\n"
        )
        names = {"ERL_EPMD_PORT": str(self._names), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        environment = names | {
            "PATH": f"{self._folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": "roadside@localhost",
            "RABBITMQ_DIST_PORT": str(self._nodes),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder / "logs"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self._folder / "generated"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
        }
        epmd: list[str | Path] = [erlang / "bin/epmd", "-address", "127.0.0.1", "-port", str(self._names)]
        return [(epmd, names), ([rabbit / "sbin/rabbitmq-server"], environment)]

    def start(self) -> None:
        """Start it, and return when it takes logins: its ports are open before that."""
        super().start()
        deadline = time.monotonic() + READY_WITHIN
        while "Starting broker... completed" not in (log := (self._folder / "log").read_text().rpartition(BANNER)[2]):
            assert time.monotonic() < deadline, log
            time.sleep(0.05)

    def _listener(self) -> str:
        if self._papers is None:
            return f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.port}\n"
        authority, certificate, key = self._papers
        return (
            f"mqtt.listeners.tcp = none\nmqtt.listeners.ssl.1 = 127.0.0.1:{self.port}\n"
            f"ssl_options.cacertfile = {authority}\nssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n"
            "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
        )

    def _write_erl(self, erlang: Path) -> None:
        """Have an `erl` that knows where it has been unpacked: Debian's own knows one place."""
        erl = self._folder / "bin/erl"
        erl.parent.mkdir(exist_ok=True)
        erl.write_text(
            f"#!/bin/sh\nexport ROOTDIR={erlang.parent} BINDIR={erlang}/bin EMU=beam PROGNAME=erl\n"
            f'exec {erlang}/bin/erlexec "$@"\n'
        )
        erl.chmod(0o755)


class Aedes(Server):
    """The broker in JavaScript; it keeps all in memory."""

    limits = False

    @classmethod
    def missing(cls) -> str:
        return "" if (FETCHED / "npm/node_modules/aedes").exists() else "aedes: see make interop"

    def commands(self) -> list[tuple[list[str | Path], dict[str, str]]]:
        ports = [str(self.port), str(self.web_port)]
        script = shutil.copy(
            Path(__file__).with_name("aedes.mjs"), FETCHED / "npm"
        )  # node looks for packages beside it
        return [(["node", script, *ports, FORBIDDEN, *(self._papers or ())], {})]


def _mosquitto() -> str | None:
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def _definitions() -> dict[str, object]:
    """Return RabbitMQ's rules: `guest` may do all but publish to one topic."""
    salt = b"salt"
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    name = FORBIDDEN.replace("/", "[.]")
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": "guest",
                "password_hash": base64.b64encode(salt + hashlib.sha256(salt + b"guest").digest()).decode(),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
        ],
        "permissions": [{"user": "guest", "vhost": "/", **everything}],
        "topic_permissions": [
            {"user": "guest", "vhost": "/", "exchange": "amq.topic", "write": f"^(?!{name}$)", "read": ".*"}
        ],
    }
