"""Journals to look into: one that is open, and how the command is called on it."""

import pytest

from agent.readings import AlarmEvent, Anchor, Reading, Stream
from drivers.contract import Reason
from tests.cli.roadside import roadside
from tests.journal.conftest import BOOT, bench  # noqa: F401 - a fixture

SECOND = 1_000_000_000
UTC = 1_795_346_000 * SECOND


def journal(verb, bench, *arguments, **options):  # noqa: F811 - the fixture's value
    """Return the finished `roadside journal` on the folders of a bench."""
    folders = ("--folder", bench.card.path, "--young", bench.young.path)
    return roadside("journal", verb, *folders, *arguments, **options)


@pytest.fixture
async def filled(bench):  # noqa: F811
    """A journal that is open: some of it is on the card, some in the young end alone."""
    opened = bench.open()
    start = bench.clock.now
    opened.append(Stream.ANCHOR, [Anchor(BOOT, start, UTC, 0.1, "timesyncd")])
    opened.append(Stream.TELEMETRY, [Reading("air-1", "pm2_5", start, 12.5, unit="ug/m3")])
    await opened.commit()
    opened.append(Stream.TELEMETRY, [Reading("level-1", "water_level", start + 2 * SECOND, None, Reason.NO_ECHO)])
    opened.append(Stream.TELEMETRY, [Reading("panic-1", "pressed", start + 3 * SECOND, value=True)])
    event = AlarmEvent("level-1", "flood", start, "c0ffee", raised=True, quantity="water_level", value=2.6)
    opened.append(Stream.ALARM, [event])
    opened.keep("answer", 42)
    return bench
