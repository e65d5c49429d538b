"""A particle sensor on a pseudo terminal, in place of a UART, and a clock that is said to be right.

It runs in the container, on Debian's own Python.
"""

import contextlib
import os
import pty
import shutil
import termios
import time
import tty
from pathlib import Path

NAME = Path("/dev/ttyAMA0")
# A frame that a PMS5003 sent: PM1 5, PM2.5 13, PM10 22 ug/m3.
FRAME = bytes.fromhex("424d001c0005000d00160005000d001602fd00fc001d000f00060006970003c5")
EVERY = 0.2  # seconds

SYNCHRONISED = Path("/run/systemd/timesync/synchronized")  # what systemd-timesyncd touches

SYNCHRONISED.parent.mkdir(parents=True, exist_ok=True)
SYNCHRONISED.touch()
ours, theirs = pty.openpty()
tty.setraw(theirs, termios.TCSANOW)
shutil.chown(os.ttyname(theirs), group="dialout")
Path(os.ttyname(theirs)).chmod(0o660)
NAME.unlink(missing_ok=True)
NAME.symlink_to(os.ttyname(theirs))
os.set_blocking(ours, False)
extra = Path("/run/cabinet-says")  # what a test wants to be said as well
while True:
    said = FRAME
    if extra.exists():
        said = extra.read_bytes()
        extra.unlink()
    with contextlib.suppress(BlockingIOError):  # nobody reads
        os.write(ours, said)
    time.sleep(EVERY)
