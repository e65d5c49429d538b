"""Puts Roadside into a container as it is on a gateway: unit, release, configuration, and a cabinet."""

from __future__ import annotations

import shutil
from pathlib import Path

import hil.install
from hil.install import run_in

CONFIGURATION = """\
[gateway]
id = "pkt-0042"

[uplinks.city]
url = "mqtt://127.0.0.1:1883"
username = "pkt-0042"
password_credential = "roadside_password"

[devices.air-1]
driver = "plantower"
port = "/dev/ttyAMA0"
warm_up = "0 s"
"""
# Under systemd's own name for what comes from the folder: <name of LoadCredential=>_<file>.
CABINET = """\
[Unit]
Description=A particle sensor on /dev/ttyAMA0
Before=roadside.service

[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/cabinet.py
Restart=always

[Install]
WantedBy=multi-user.target
"""
MOSQUITTO = "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/passwords\n"
PASSWORD = "a secret of the city"  # noqa: S105 - of a broker in a container


def install(root: Path) -> None:
    """Install everything below a container's root, switched on."""
    hil.install.install(root)
    (root / "etc/roadside/gateway.toml").write_text(CONFIGURATION)
    (root / "etc/roadside/credentials/password").write_text(PASSWORD)
    shutil.copy(Path(__file__).with_name("cabinet.py"), root / "usr/local/lib/cabinet.py")
    (root / "etc/systemd/system/cabinet.service").write_text(CABINET)
    (root / "etc/mosquitto/conf.d/city.conf").write_text(MOSQUITTO)
    run_in(root, "mosquitto_passwd", "-b", "-c", "/etc/mosquitto/passwords", "pkt-0042", PASSWORD)
    run_in(root, "chown", "mosquitto", "/etc/mosquitto/passwords")
    run_in(root, "systemctl", "enable", "cabinet.service", "mosquitto.service")
