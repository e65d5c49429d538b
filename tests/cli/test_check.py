import re
from pathlib import Path

import pytest

from agent.host.mounts import file_system
from tests.cli.roadside import roadside
from tests.config.test_load import EXAMPLE, SMALL


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(SMALL + '[devices.b]\ndriver = "button"\npin = 27\n', "utf-8")
    return path


def test_a_right_file_is_called_right(file):
    result = roadside("check", file)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{file} is right: 1 device, 1 uplink\n"


def test_a_wrong_file_is_told_line_by_line_with_status_78(file):
    file.write_text(file.read_text("utf-8").replace("button", "buton").replace("pkt", "PKT"), "utf-8")
    result = roadside("check", file)
    assert (result.returncode, result.stdout) == (78, "")
    assert result.stderr.splitlines() == [
        f"{file}:2: gateway.id: an id is made of lower-case letters, digits and single hyphens, such as 'air-1'",
        f"{file}:6: devices.b.driver: 'buton' is not a driver; did you mean 'button'?",
    ]


def test_an_unknown_driver_hides_nothing_else_that_can_be_judged(file):
    file.write_text(
        SMALL
        + """
[devices.air-1]
driver = "plantwoer"
port = "ttyUSB0"
every = "x"
label = 1
its_own = "perhaps"
[devices.air-1.pm2_5]
deadbnd = 1
[[devices.air-1.alarms]]
name = "Dust"
quantity = "pm2_5"
above = 1
[devices.b]
driver = 5
port = 1
hold = "y"
""",
        "utf-8",
    )
    result = roadside("check", file)
    assert result.returncode == 78
    said = [re.sub(r"^.*:[0-9]+: devices\.", "", line).partition(": ")[::2] for line in result.stderr.splitlines()]
    assert [(key, text.partition(";")[0].partition(",")[0]) for key, text in said] == [
        ("air-1.driver", "'plantwoer' is not a driver"),
        ("air-1.port", "'ttyUSB0' is neither a path such as /dev/ttyAMA0 nor a port of [ports]"),
        ("air-1.every", "must be a duration such as '250 ms'"),
        ("air-1.label", 'must be a table such as { en = "..."'),
        ("air-1.pm2_5.deadbnd", "is not a known key"),
        ("b.driver", "must be a text in quotes"),
        ("b.port", "must be a text in quotes"),
    ]
    file.write_text(file.read_text("utf-8").replace('every = "x"\nlabel = 1', ""), "utf-8")
    assert "devices.air-1.alarms (Dust).name: an alarm's name is made of" in roadside("check", file).stderr


def test_a_file_that_is_not_there_is_told_the_same_way(tmp_path):
    result = roadside("check", tmp_path / "none.toml")
    assert (result.returncode, result.stderr) == (78, f"{tmp_path / 'none.toml'}: there is no such file\n")


def test_a_file_whose_name_would_play_tricks_with_the_terminal_is_told_on_one_line(tmp_path):
    result = roadside("check", tmp_path / "a\n\x1b[2J.toml")
    assert result.returncode == 78
    assert result.stderr == f"{tmp_path}/a\\n\\u001b[2J.toml: there is no such file\n"


def test_a_value_can_be_set_over_the_file(file):
    assert roadside("check", file, "--set", "devices.b.pin=4").returncode == 0
    result = roadside("check", file, "--set", "devices.b.pin=40", "--set", "journal.x=1")
    assert result.returncode == 78
    unknown, pin = result.stderr.splitlines()
    assert unknown.startswith("--set journal.x: is not a known key; known: commit_interval, folder, ")
    assert pin == "--set devices.b.pin: must be 27 or less, not 40"
    assert roadside("check", file, "--set", "nonsense").returncode == 2


def test_a_port_that_does_not_exist_now_is_a_warning_that_lists_those_that_do(tmp_path):
    result = roadside("check", EXAMPLE, "--root", tmp_path)
    assert result.returncode == 0
    assert len(result.stderr.splitlines()) == 4
    assert "devices.air-1.port: warning: /dev/ttyAMA0 does not exist now; there is none at all" in result.stderr
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/ttyUSB7").touch()
    (tmp_path / "dev/ttyAMA0").touch()
    result = roadside("check", EXAMPLE, "--root", tmp_path)
    assert "ttyAMA0 does not exist" not in result.stderr
    assert "does not exist now; there are: " in result.stderr
    assert "/dev/ttyUSB7" in result.stderr


def test_two_names_of_the_same_port_are_a_warning(tmp_path):
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    (tmp_path / "dev/ttyACM0").touch()
    (tmp_path / "dev/serial/by-id/usb-1a86_USB_Serial-if00-port0").symlink_to("../../ttyACM0")
    result = roadside("check", EXAMPLE, "--root", tmp_path)
    assert result.returncode == 0
    assert "devices.gnss-1.port: warning: /dev/ttyACM0 is the same port as /dev/serial/by-id/usb-1a86" in result.stderr


def test_a_password_that_would_go_unencrypted_or_is_not_there_is_a_warning(file, tmp_path):
    file.write_text(SMALL.replace("127.0.0.1", "broker.example"), "utf-8")
    sets = ("--set", "uplinks.city.username=me", "--set", "uplinks.city.password_file=/etc/roadside/city.password")
    result = roadside("check", file, "--root", tmp_path, *sets)
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        f"{file}:1: gateway: warning: no device is configured",
        "--set uplinks.city.password_file: warning: /etc/roadside/city.password does not exist now",
        f"{file}:4: uplinks.city.url: warning: the password goes over the network unencrypted; mqtts:// encrypts it",
    ]


def test_a_password_file_that_is_empty_or_open_to_everybody_is_a_warning(file, tmp_path):
    password = tmp_path / "password"
    sets = ("--set", "uplinks.city.username=me", "--set", "uplinks.city.password_file=/password")
    for content, mode, said in (
        ("", 0o600, "/password is empty"),
        ("secret", 0o644, "everybody on this machine can read /password; chmod o= /password mends it"),
    ):
        password.write_text(content, "utf-8")
        password.chmod(mode)
        result = roadside("check", file, "--root", tmp_path, *sets)
        assert result.stderr == f"--set uplinks.city.password_file: warning: {said}\n"
        assert result.returncode == 0
    password.chmod(0o640)
    assert roadside("check", file, "--root", tmp_path, *sets).stderr == ""


def test_a_key_that_everybody_can_read_is_a_warning_and_a_certificate_is_not(file, tmp_path):
    for name in ("certificate", "key"):
        (tmp_path / name).write_text("PEM", "utf-8")
        (tmp_path / name).chmod(0o644)
    uplink = {"url": "mqtts://broker.example", "certificate_file": "/certificate", "key_file": "/key"}
    sets = [word for key, value in uplink.items() for word in ("--set", f"uplinks.city.{key}={value}")]
    result = roadside("check", file, "--root", tmp_path, *sets)
    said = "everybody on this machine can read /key; chmod o= /key mends it"
    assert result.stderr == f"--set uplinks.city.key_file: warning: {said}\n"


def test_many_seconds_without_a_unit_may_be_milliseconds(file):
    alarm = '[[devices.b.alarms]]\nname = "help"\nquantity = "pressed"\nequals = true\nhold = 5000\n'
    file.write_text(file.read_text("utf-8") + alarm, "utf-8")
    result = roadside("check", file, "--set", "devices.b.silent_after=3600", "--set", "journal.commit_interval=999")
    said = 'without a unit is seconds: write "{0} s", or "{0} ms" if that is meant'
    assert result.stderr.splitlines() == [
        f"--set devices.b.silent_after: warning: 3600 {said.format(3600)}",
        f"{file}:12: devices.b.alarms (help).hold: warning: 5000 {said.format(5000)}",
    ]
    assert result.returncode == 0


def test_a_pin_that_the_pi_uses_itself_is_a_warning(file):
    result = roadside("check", file, "--set", "devices.b.pin=14")
    assert result.stderr == (
        "--set devices.b.pin: warning: GPIO 14 is the Pi's own for its UART; 4 to 13 and 16 to 27 are free\n"
    )
    assert result.returncode == 0


def test_a_thai_technician_reads_thai(file):
    result = roadside("check", file, "--set", "devices.b.pin=40", locale="th_TH.UTF-8")
    assert result.stderr == "--set devices.b.pin: ต้องไม่เกิน 27 ไม่ใช่ 40\n"


def test_a_journal_that_would_not_outlive_the_power_is_a_warning(file):
    if file_system(Path("/dev", "shm")) != "tmpfs":
        pytest.skip("there is no tmpfs at /dev/shm")
    result = roadside("check", file, "--set", "journal.folder=/dev/shm/journal")
    assert result.returncode == 0
    assert result.stderr == (
        "--set journal.folder: warning: /dev/shm/journal is in memory: "
        "with the power goes all that has not been sent; it belongs on the card\n"
    )


@pytest.mark.parametrize("folder", ["/", "/var"])
def test_a_journal_in_a_folder_of_the_system_is_a_warning(file, folder):
    result = roadside("check", file, "--set", f"journal.folder={folder}")
    assert result.returncode == 0
    assert f"--set journal.folder: warning: {folder} is a folder of the system" in result.stderr


def test_a_path_that_no_system_could_take_is_wrong(file):
    file.write_text(file.read_text("utf-8") + '[journal]\nfolder = "/var/lib/road\\u0000side"\n', "utf-8")
    result = roadside("check", file)
    assert result.returncode == 78
    assert "journal.folder: holds a NUL character" in result.stderr
