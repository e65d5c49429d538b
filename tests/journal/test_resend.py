"""What was delivered goes up again when it is asked for: all that is still here, and no more than was asked."""

import pytest

from agent import logs
from agent.commands.journal.resend import lines
from agent.control import ControlError, ControlServer, ask
from agent.journal.pack import Lane
from agent.journal.resending import Numbers
from agent.readings import Stream
from agent.resend import verb
from tests.journal.packs import drain, values
from tests.journal.test_losses import alarm, fetched, packs_of

SECOND = 1_000_000_000


async def delivered(journal, bench, *counts, uplink="city"):
    """Append so many readings a pack, and have all of it delivered."""
    outbox = journal.outbox(uplink)
    for count in counts:
        journal.append(Stream.TELEMETRY, bench.readings(count))
        journal.close_packs()
    for lane in (Lane.ALARMS, Lane.LIVE, Lane.HISTORY):
        for pack in drain(outbox, lane):
            outbox.done(pack)
    return outbox


def taken(outbox, lane=Lane.HISTORY):
    return [value for pack in drain(outbox, lane) for value in values(pack)]


async def test_everything_that_the_young_end_holds_goes_up_again_as_history_through_the_same_outbox(bench):
    journal = bench.open()
    outbox = await delivered(journal, bench, 5, 5)
    assert taken(outbox) == taken(outbox, Lane.LIVE) == []

    resent = await journal.resend("city", None)

    assert sum(ranges.count() for ranges in resent.again.values()) == 10
    assert not resent.gone
    assert taken(outbox) == list(range(10))
    journal.append(Stream.TELEMETRY, bench.readings(2))
    journal.close_packs()
    assert taken(outbox, Lane.LIVE) == [10, 11]


async def test_what_is_on_its_way_is_not_sent_twice(bench):
    journal = bench.open()
    outbox = await delivered(journal, bench, 5)
    journal.append(Stream.TELEMETRY, bench.readings(3))
    journal.close_packs()
    flying = outbox.next(Lane.LIVE)
    await journal.resend("city", None)

    assert taken(outbox) == [0, 1, 2, 3, 4]
    outbox.done(flying)
    assert taken(outbox) == taken(outbox, Lane.LIVE) == []


@pytest.mark.parametrize("power_cut", [False, True], ids=["crash", "power_cut"])
async def test_the_wish_outlives_a_crash_and_a_power_cut(bench, power_cut):
    journal = bench.open()
    await delivered(journal, bench, 5)
    await journal.commit(clean=True)  # the card knows that it was delivered
    await journal.resend("city", None)
    bench.let_go()
    if power_cut:
        bench.power_cut()

    assert await fetched(bench.open(pack_within=0)) == [0, 1, 2, 3, 4]


async def test_what_is_delivered_once_more_is_done_with(bench):
    journal = bench.open()
    outbox = await delivered(journal, bench, 5)
    await journal.resend("city", None)
    for pack in drain(outbox):
        outbox.done(pack)
    await journal.commit()
    bench.let_go()

    assert await fetched(bench.open(pack_within=0)) == []


async def test_numbers_that_are_asked_for_go_alone_and_what_is_gone_is_said(bench):
    journal = bench.open()
    outbox = await delivered(journal, bench, 5, 5, 5)
    epoch = journal.status().epoch

    resent = await journal.resend("city", Numbers("", Stream.TELEMETRY, 6, 40))

    key = (epoch, Stream.TELEMETRY)
    assert (list(resent.again[key]), list(resent.never[key])) == ([(6, 15)], [(16, 40)])
    assert resent.gone == {}
    assert taken(outbox) == list(range(5, 15))
    other = await journal.resend("city", Numbers("f" * 16, Stream.TELEMETRY, 1, 3))
    assert (other.again, list(other.gone["f" * 16, Stream.TELEMETRY])) == ({}, [(1, 3)])


async def test_since_takes_the_packs_that_may_reach_into_that_time(bench):
    journal = bench.open()
    outbox = journal.outbox("city")
    for _ in range(5):
        journal.append(Stream.TELEMETRY, bench.readings(2))
        journal.close_packs()
        bench.clock.now += 60 * SECOND
    for pack in drain(outbox, Lane.LIVE):
        outbox.done(pack)

    await journal.resend("city", bench.clock.now - 150 * SECOND)

    assert taken(outbox) == [4, 5, 6, 7, 8, 9]


async def test_another_uplink_is_not_sent_it_again_and_the_card_serves_what_the_young_end_has_not(bench):
    journal = bench.open(uplinks=("city", "agency"), young_limit=1 << 16)
    for _ in range(20):
        journal.append(Stream.TELEMETRY, bench.readings(500))
        await journal.commit()
    city = journal.outbox("city")
    for pack in await packs_of(journal):
        city.done(pack)
    assert journal.status().waiting["city"]["telemetry"] == 0

    resent = await journal.resend("city", None)

    assert sum(ranges.count() for ranges in resent.again.values()) == 10_000
    assert await fetched(journal, "city") == list(range(10_000))
    assert journal.status().waiting["agency"]["telemetry"] == 10_000


# --- asked through the control socket ------------------------------------------------------------------------------


@pytest.fixture
async def socket(bench, tmp_path):
    journal = bench.open()
    await delivered(journal, bench, 5)
    journal.append(Stream.ALARM, [alarm(bench, 1)])
    path = tmp_path / "control"
    async with ControlServer(path, {"resend": verb(journal, ["city"], bench.clock)}, logs.get("control")):
        yield path


async def test_a_technician_is_told_how_many_readings_go_again_and_which_never_were(socket):
    answer = await ask(socket, {"do": "resend", "uplink": "city", "numbers": [4, 9]})

    told = list(lines(answer))
    assert told[0] == "2 readings go up again, as history"
    assert told[1].startswith("never used so far: telemetry 6-9 of epoch ")
    assert len(told) == 2


async def test_what_waits_to_go_up_for_the_first_time_is_not_called_gone(socket):
    answer = await ask(socket, {"do": "resend", "uplink": "city", "numbers": [1, 1], "stream": "alarm"})

    assert list(lines(answer)) == [
        "0 readings go up again, as history",
        "1 reading waits to go up for the first time; nothing has to be done for it",
    ]


async def test_what_is_not_here_any_more_is_told_apart_from_what_never_was(bench):
    journal = bench.open()
    await delivered(journal, bench, 5)
    await journal.commit(clean=True)
    bench.let_go()
    bench.power_cut()
    for name in bench.card.names():
        bench.card.remove(name)
    later = bench.open()
    await delivered(later, bench, 5)

    resent = await later.resend("city", Numbers("0" * 16, Stream.TELEMETRY, 1, 5))

    assert [list(ranges) for ranges in resent.gone.values()] == [[(1, 5)]]
    assert resent.never == {}


async def test_all_of_the_last_minutes_can_be_asked_for(socket):
    answer = {"readings": 5, "waiting": 1, "gone": [], "never": []}
    assert await ask(socket, {"do": "resend", "uplink": "city", "since": 60}) == answer
    answer = {"readings": 0, "waiting": 6, "gone": [], "never": []}
    assert await ask(socket, {"do": "resend", "uplink": "city"}) == answer


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({}, "no uplink 'None'; there are: city"),
        ({"uplink": "moon"}, "no uplink 'moon'; there are: city"),
        ({"uplink": "city", "since": "x"}, "cannot be understood"),
        ({"uplink": "city", "numbers": 7}, "cannot be understood"),
        ({"uplink": "city", "numbers": [9, 2]}, "cannot be understood: 9-2"),
        ({"uplink": "city", "numbers": [1, 2], "stream": "x"}, "cannot be understood"),
    ],
)
async def test_what_cannot_be_done_is_told(socket, wish, told):
    with pytest.raises(ControlError, match=told):
        await ask(socket, {"do": "resend"} | wish)


async def test_an_epoch_that_was_never_here_leaves_no_trace(bench):
    journal = bench.open()
    await delivered(journal, bench, 3)
    before = journal.status()
    resent = await journal.resend("city", Numbers("00000000deadbeef", Stream.TELEMETRY, 1, 9))
    assert not resent.again
    assert [list(ranges) for ranges in resent.gone.values()] == [[(1, 9)]]
    await journal.commit()
    assert journal.status().faults == before.faults == {}
    bench.let_go()
    journal = bench.open()
    assert "00000000deadbeef" not in journal.epochs


@pytest.mark.parametrize(
    "request_",
    [
        {"numbers": [1, 5], "epoch": "\udcff"},
        {"numbers": [1, 5], "epoch": "ab" * 30_000},
        {"since": 1e308},
        {"since": float("nan")},
        {"numbers": [5, 1]},
        {"numbers": 7},
    ],
)
async def test_what_cannot_be_meant_is_refused_and_harms_nothing(bench, request_):
    journal = bench.open()
    await delivered(journal, bench, 3)
    with pytest.raises(ControlError, match="cannot be understood"):
        await verb(journal, ["city"], bench.clock)({"uplink": "city"} | request_)
    journal.append(Stream.TELEMETRY, bench.readings(2))
    await journal.commit()
    assert journal.status().faults == {}
