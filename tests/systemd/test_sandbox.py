"""Every line of the sandbox: something that fails with it and succeeds without it, on the real systemd."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import NamedTuple

import pytest

UNIT = Path(__file__).parents[2] / "systemd/roadside.service"
PYTHON = "/usr/bin/python3"
LIBC = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
USER = "User=roadside"

# Of i386, by the gate that 64-bit Linux keeps open for it: getpid().
INT_80 = """
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
"""


class Attempt(NamedTuple):
    """What somebody who has taken over the agent might try."""

    line: str
    code: str  # Python
    beside: tuple[str, ...] = ()  # other lines of the attempt's unit


ATTEMPTS = {
    "open another kind of device": Attempt("DevicePolicy=closed", "open('/dev/net/tun', 'r+b', buffering=0)"),
    "become another user": Attempt(
        "CapabilityBoundingSet=", "import os; open('/run/probe', 'w'); os.chown('/run/probe', 12345, 12345)"
    ),
    "gain rights through a setuid program": Attempt(
        "NoNewPrivileges=yes",
        "import subprocess; assert subprocess.check_output(['/usr/local/bin/setuid-id', '-u']) == b'0\\n'",
        (USER,),
    ),
    "see whose a file is": Attempt(
        "PrivateUsers=yes", "import os; assert os.stat('/usr/local/theirs').st_uid == 12345"
    ),
    "change the system": Attempt("ProtectSystem=strict", "open('/etc/probe', 'w')"),
    "look into home folders": Attempt("ProtectHome=yes", "open('/root/secret')"),
    "leave a mount behind": Attempt(
        "PrivateMounts=yes",
        "import os, subprocess; subprocess.run(['mount', '-t', 'tmpfs', 'probe', '/mnt'], check=True)\n"
        "assert 'probe' in open(f'/proc/1/mounts').read()",
    ),
    "find what others left in /tmp": Attempt("PrivateTmp=yes", "open('/tmp/theirs')"),
    "reach the shared memory of others": Attempt("PrivateIPC=yes", LIBC + "assert libc.shmget(0x1234, 4096, 0) >= 0"),
    "see the processes of others": Attempt("ProtectProc=invisible", "import os; os.listdir('/proc/1')", (USER,)),
    "ask for the discipline of the clock": Attempt(
        "ProtectClock=yes", LIBC + "assert libc.adjtimex(ctypes.create_string_buffer(256)) >= 0"
    ),
    "rename the machine": Attempt("ProtectHostname=yes", "import socket; socket.sethostname(socket.gethostname())"),
    "read the kernel's log": Attempt("ProtectKernelLogs=yes", LIBC + "assert libc.klogctl(10, None, 0) >= 0"),
    "load a module": Attempt("ProtectKernelModules=yes", "import os; assert os.listdir('/usr/lib/modules')"),
    "tune the kernel": Attempt("ProtectKernelTunables=yes", "open('/proc/sys/net/ipv4/ip_forward', 'w').write('0')"),
    "move out of the control group": Attempt("ProtectControlGroups=yes", "import os; os.mkdir('/sys/fs/cgroup/probe')"),
    "listen to the network's configuration": Attempt(
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    ),
    "make a namespace": Attempt("RestrictNamespaces=yes", LIBC + "assert libc.unshare(0x40000000) == 0"),
    "hold the processor": Attempt(
        "RestrictRealtime=yes", "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    ),
    "leave a setuid program behind": Attempt(
        "RestrictSUIDSGID=yes", "import os; open('/run/probe', 'w'); os.chmod('/run/probe', 0o4755)"
    ),
    "change the kind of process": Attempt("LockPersonality=yes", LIBC + "assert libc.personality(0x0020000) != -1"),
    "write code and run it": Attempt(
        "MemoryDenyWriteExecute=yes",
        "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    ),
    "call the kernel as a 32-bit program": Attempt("SystemCallArchitectures=native", INT_80),
    "mount something": Attempt(
        "SystemCallFilter=@system-service",
        "import subprocess; subprocess.run(['mount', '-t', 'tmpfs', 'probe', '/mnt'], check=True)",
    ),
    "change the root": Attempt("SystemCallFilter=~@privileged @resources", "import os; os.chroot('/')"),
    "take a processor for itself": Attempt(
        "SystemCallFilter=~@privileged @resources", "import os; os.sched_setaffinity(0, os.sched_getaffinity(0))"
    ),
}
# What the container cannot show, and why.
NOT_SHOWN = {
    "SystemCallErrorNumber=EPERM": "shown beside the filters: they fail with it, and end the process without it",
    "RemoveIPC=yes": "shown by itself",
}
SANDBOX = "# --- the sandbox"


def sandbox():
    """Return the lines of the sandbox."""
    _, _, lines = UNIT.read_text().partition(SANDBOX)
    lines = lines.partition("[Install]")[0].splitlines()[1:]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module", autouse=True)
def prey(machine):
    """What an attempt may be after."""
    given = """
cp /usr/bin/id /usr/local/bin/setuid-id && chmod 4755 /usr/local/bin/setuid-id
touch /usr/local/theirs && chown 12345 /usr/local/theirs
touch /root/secret /tmp/theirs
mkdir -p /usr/lib/modules/probe
"""
    machine.run("sh", "-e", given=given)
    machine.run(PYTHON, given=LIBC + "assert libc.shmget(0x1234, 4096, 0o1666) >= 0")
    yield
    machine.run(PYTHON, given=LIBC + "libc.shmctl(libc.shmget(0x1234, 4096, 0), 0, None)")


def tried(machine, attempt, *lines):
    """Run an attempt in a unit with these lines; return whether it succeeded."""
    properties = [f"--property={line}" for line in (*lines, *attempt.beside)]
    done = machine.run(
        "systemd-run", "--wait", "--quiet", "--pipe", *properties, PYTHON, "-c", attempt.code, check=False
    )
    machine.run("sh", "-c", "umount /mnt; rm -f /etc/probe /run/probe; rmdir /sys/fs/cgroup/probe", check=False)
    return done.returncode == 0


@pytest.mark.parametrize("what", ATTEMPTS)
def test_an_attempt_fails_with_the_line_and_succeeds_without_it(machine, what):
    attempt = ATTEMPTS[what]
    if attempt.code == INT_80 and platform.machine() != "x86_64":
        pytest.skip("only x86-64 has this gate")
    assert attempt.line in sandbox()
    assert tried(machine, attempt)
    assert not tried(machine, attempt, attempt.line)


def test_every_line_is_shown_or_it_is_said_why_not():
    shown = {attempt.line for attempt in ATTEMPTS.values()} | set(NOT_SHOWN)
    assert {line for line in sandbox() if not line.startswith("DeviceAllow=")} <= shown


def test_a_uart_can_be_opened_with_its_line_and_not_without_it(machine):
    """Whether there is one behind the node is another question, and not asked of the control group."""
    line = "DeviceAllow=char-ttyS rw"
    assert line in sandbox()
    machine.run("mknod", "-m", "666", "/dev/ttyS3", "c", "4", "67")
    opening = "try: os.open('/dev/ttyS3', os.O_RDWR | os.O_NONBLOCK)\nexcept OSError as error: assert error.errno != 1"
    uart = Attempt("", f"import os\n{opening}")
    assert tried(machine, uart, "DevicePolicy=closed", line)
    assert not tried(machine, uart, "DevicePolicy=closed")


def test_what_is_filtered_fails_and_does_not_end_the_process(machine):
    attempt = Attempt("", "import os\ntry: os.chroot('/')\nexcept PermissionError: pass")
    filtered = "SystemCallFilter=~@privileged"
    assert tried(machine, attempt, filtered, "SystemCallErrorNumber=EPERM")
    assert not tried(machine, attempt, filtered)


def test_shared_memory_ends_with_the_service(machine):
    attempt = Attempt("", LIBC + "assert libc.shmget(0x4321, 4096, 0o1600) >= 0", ("User=daemon",))
    left = LIBC + "import sys; sys.exit(libc.shmget(0x4321, 4096, 0) < 0)"
    assert tried(machine, attempt)
    assert machine.run(PYTHON, given=left, check=False).returncode == 0
    machine.run(PYTHON, given=LIBC + "libc.shmctl(libc.shmget(0x4321, 4096, 0), 0, None)")
    assert tried(machine, attempt, "RemoveIPC=yes")
    assert machine.run(PYTHON, given=left, check=False).returncode == 1


def test_what_the_gateway_tells_of_itself_can_be_read(machine):
    """All that drivers/devices/host.py and link.py look at, as far as a container has it."""
    code = """
import glob, os
for path in ("/proc/self/mountinfo", "/proc/meminfo", "/proc/loadavg", "/proc/sys/kernel/random/boot_id"):
    open(path).read()
looked = "/sys/class/hwmon/hwmon*/name", "/sys/class/thermal/thermal_zone*/type", "/sys/dev/block/*/stat"
for path in (*(found for each in looked for found in glob.glob(each)), *glob.glob("/proc/net/wireless")):
    open(path).read()
assert os.statvfs("/var/lib").f_blocks
os.listdir("/sys/fs")
"""
    assert tried(machine, Attempt("", code, (USER,)), *sandbox())
