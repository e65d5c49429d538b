"""`python -m tests.drivers.recordings NAME`: the recordings of a driver with the lines as they are now."""

import sys

from tests.drivers.recordings import names, recordings

for name in sys.argv[1:] or names():
    print("\n\n".join("\n".join([*recording.head, *recording.lines()]) for recording in recordings(name)))  # noqa: T201
