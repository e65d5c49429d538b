"""A journal as another release left it: an update and the way back meet it, and no reading may be lost by that.

The golden one was written once; today's code, and that of every release to come, has to read it. ROADSIDE_GOLDEN=1
writes it anew, which is right only with a release that no older one has to go back from.
"""

import os
import shutil
from pathlib import Path
from struct import pack

import pytest

from agent.journal.commit import decode_commit
from agent.journal.frames import Frame, Kind, frame, scan
from agent.journal.pack import Lane
from agent.readings import Stream
from tests.journal.conftest import Bench
from tests.journal.packs import drain, values, waiting

GOLDEN = Path(__file__).parents[1] / "golden/journal"
ON_CARD, YOUNG = 6, 4  # readings that were committed, and that came afterwards
LATER_KIND = 99  # of a release that does not exist yet


async def written(folder):
    """Write what the golden journal holds, as an agent that is killed leaves it."""
    bench = Bench(folder)
    journal = bench.open(uplinks=("city", "partner"))
    journal.keep("gateway", "pkt-0042")
    journal.append(Stream.TELEMETRY, bench.readings(3))
    journal.append(Stream.ALARM, [bench.reading()])
    journal.close_packs()
    (delivered,) = drain(journal.outbox("partner"), Lane.ALARMS)
    journal.outbox("partner").done(delivered)
    journal.append(Stream.TELEMETRY, bench.readings(3))
    journal.close_packs()
    await journal.commit()
    with journal.together():
        journal.append(Stream.TELEMETRY, bench.readings(YOUNG))
        journal.keep("boot", bench.clock.boot)
    bench.let_go()


@pytest.fixture
async def golden(bench):
    if os.environ.get("ROADSIDE_GOLDEN") == "1":
        shutil.rmtree(GOLDEN, ignore_errors=True)
        await written(GOLDEN)
    for name in ("young", "card"):
        shutil.copytree(GOLDEN / name, getattr(bench, name).path)
    return bench


def like_a_commit(one):
    """Return what could be taken for a commit, of values that are missing, if nobody looked at its kind."""
    if one.kind != Kind.COMMIT:
        return b""
    return pack("<8sIII", bytes.fromhex(decode_commit(one.payload).epoch), 5, 0, 0) + decode_commit(one.payload).packs


def add_later_kinds(folder):
    """Put frames of a kind that nobody knows before, between and behind all others."""
    for path in folder.glob("[0-9]*"):
        found = list(scan(path.read_bytes()))
        assert all(isinstance(one, Frame) for one in found)
        strange = [frame(LATER_KIND, payload) for payload in (b"", bytes(7), bytes(300), *map(like_a_commit, found))]
        path.write_bytes(b"".join([*strange, *(frame(one.kind, one.payload) + strange[-1] for one in found), *strange]))


def whole(bench):
    journal = bench.open(uplinks=("city", "partner"))
    status = journal.status()
    assert status.faults == {}
    assert journal.kept("gateway") == "pkt-0042"
    assert journal.kept("boot") == bench.clock.boot
    return journal, status


async def test_what_the_golden_journal_holds_is_read_whole(golden):
    journal, status = whole(golden)
    assert status.next[Stream.TELEMETRY] == ON_CARD + YOUNG + 1
    assert waiting(journal.outbox("city")) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert [values(pack) for pack in drain(journal.outbox("city"), Lane.ALARMS)] == [[3]]
    assert drain(journal.outbox("partner"), Lane.ALARMS) == []


async def test_frames_of_a_kind_that_is_not_known_cost_nothing(golden):
    for disk in (golden.young, golden.card):
        add_later_kinds(disk.path)
    journal, status = whole(golden)
    assert status.next[Stream.TELEMETRY] == ON_CARD + YOUNG + 1
    assert waiting(journal.outbox("city")) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert drain(journal.outbox("partner"), Lane.ALARMS) == []


async def test_nor_do_they_on_the_card_alone_after_a_power_cut(golden):
    add_later_kinds(golden.card.path)
    golden.power_cut()
    journal = golden.open(uplinks=("city", "partner"))
    assert journal.status().faults == {}
    assert journal.kept("gateway") == "pkt-0042"
    assert journal.status().waiting["city"][Stream.TELEMETRY] == ON_CARD
