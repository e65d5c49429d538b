"""Puts Roadside into a container as it is on a gateway: unit, release, configuration, and a cabinet."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from hil.container import copy_distributions

PROJECT = Path(__file__).parents[2]
RELEASE = "opt/roadside/releases/test"
NEEDED = ("aiomqtt", "annotated-types", "click", "gpiozero", "pydantic", "pynmeagps", "pyserial", "rich")
COMMAND = """\
#!/usr/bin/python3
import sys
sys.path.insert(0, "/opt/roadside/releases/test/lib")
from agent.cli import main
sys.exit(main())
"""
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
    _release(root)
    installed = subprocess.run(
        [PROJECT / "systemd/install.sh", "--root", root], capture_output=True, text=True, check=False
    )
    assert installed.returncode == 0, installed.stderr
    (root / "etc/roadside/gateway.toml").write_text(CONFIGURATION)
    (root / "etc/roadside/credentials/password").write_text(PASSWORD)
    shutil.copy(Path(__file__).with_name("cabinet.py"), root / "usr/local/lib/cabinet.py")
    (root / "etc/systemd/system/cabinet.service").write_text(CABINET)
    (root / "etc/mosquitto/conf.d/city.conf").write_text(MOSQUITTO)
    _in(root, "mosquitto_passwd", "-b", "-c", "/etc/mosquitto/passwords", "pkt-0042", PASSWORD)
    _in(root, "chown", "mosquitto", "/etc/mosquitto/passwords")
    _in(root, "systemctl", "enable", "cabinet.service", "mosquitto.service")


def _release(root: Path) -> None:
    lib = root / RELEASE / "lib"
    lib.mkdir(parents=True)
    for package in ("agent", "drivers", "hil"):
        shutil.copytree(PROJECT / package, lib / package, ignore=shutil.ignore_patterns("__pycache__"))
    copy_distributions(NEEDED, lib)
    command = root / RELEASE / "bin/roadside"
    command.parent.mkdir()
    command.write_text(COMMAND)
    command.chmod(0o755)
    (root / "opt/roadside/current").symlink_to("releases/test")
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    _in(root, python, "-m", "compileall", "-q", f"/{RELEASE}/lib")


def _in(root: Path, *command: str) -> None:
    done = subprocess.run(["chroot", root, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
