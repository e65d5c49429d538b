"""A receiver that is given a part: it gets that and nothing else, and can prove that it has all of it."""

from __future__ import annotations

import asyncio
import errno
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import senml
from agent.host.disk import Folder
from agent.journal.pack import Lane
from agent.journal.ranges import Ranges
from agent.readings import AlarmEvent, Anchor, LedgerEntry, Reading, Stream
from agent.receiver import Receiver, Series
from agent.selection import Selection
from agent.timekeeper import Dated
from agent.uplink import filtering
from agent.uplink.filtering import FilteredOutbox
from tests.journal.conftest import Bench
from tests.records import EPOCH, GATEWAY, LANE_OF, RECORDS, packed
from tests.uplink import virtual
from tests.uplink.outbox import uplink

if TYPE_CHECKING:
    from agent.journal.journal import Journal
    from agent.journal.pack import Pack
    from agent.readings import Record

NOW = Dated(1_795_346_000_123_000_000, 0.1)
DEVICES = ["air-1", "air-11", "level-1"]
QUANTITIES = ["pm1", "pm2_5", "water_level"]
STREAMS = [Stream.TELEMETRY, Stream.ALARM, Stream.LEDGER]

parts = st.none() | st.lists(st.sampled_from(DEVICES), min_size=1, unique=True).map(tuple)
filters = st.builds(
    lambda devices, quantities, alarms: uplink(id="partner", devices=devices, quantities=quantities, alarms=alarms),
    parts,
    st.none() | st.lists(st.sampled_from(QUANTITIES), min_size=1, unique=True).map(tuple),
    st.booleans(),
)


@st.composite
def records(draw: Any, stream: Stream) -> Record:
    """Draw a record that speaks of one of our devices."""
    record = draw(RECORDS[stream])
    if isinstance(record, Anchor) or (isinstance(record, LedgerEntry) and not record.device):
        return record
    record.device = draw(st.sampled_from(DEVICES))
    if not isinstance(record, AlarmEvent) or record.quantity:
        record.quantity = draw(st.sampled_from(QUANTITIES))
    if isinstance(record, Reading):
        record.quantity += draw(st.sampled_from(["", ":mean", ":min"]))
    return record


def is_for(configured: Any, stream: Stream, record: Record) -> bool:
    """Return whether a receiver is given a record, by the words of the configuration."""
    if isinstance(record, Anchor) or (isinstance(record, LedgerEntry) and not record.device):
        return True
    if stream is Stream.ALARM and not configured.alarms:
        return False
    quantity = record.quantity.partition(":")[0]
    return (configured.devices is None or record.device in configured.devices) and (
        configured.quantities is None or not quantity or quantity in configured.quantities
    )


@settings(max_examples=150)
@given(st.data(), filters, st.sampled_from(sorted(RECORDS)), st.integers(1, 10**9), st.booleans())
def test_what_goes_up_is_what_the_filter_says_under_its_own_numbers(data, configured, stream, first, compress):
    made = data.draw(st.lists(records(stream), min_size=1, max_size=8))
    pack = packed(stream, made, first=first)
    wanted = [number for number, one in enumerate(made, first) if is_for(configured, stream, one)]

    receiver = Receiver()
    topic = f"roadside/v1/{GATEWAY}/{LANE_OF[stream]}"
    whole = Receiver().take(topic, senml.payload(pack, GATEWAY, NOW))
    given_ = Selection(configured).of(pack)
    if given_.numbers == ():
        assert not wanted
        return
    got = receiver.take(topic, senml.payload(given_, GATEWAY, NOW, compress=compress))

    assert [one.number for one in got] == wanted
    assert got == [one for one in whole if one.number in wanted]
    account = receiver.accounts[Series(GATEWAY, EPOCH, stream.value)]
    assert (account.received.count(), account.left_out.count()) == (len(wanted), len(made) - len(wanted))
    assert (given_ is pack) == (len(wanted) == len(made))


def test_a_text_that_looks_like_a_record_does_not_smuggle_another_device_through():
    smuggler = Reading("air-1", "pm1", 0, '"},{"n":"level-1/water_level","v":1,"t":0},{"n":"air-1/pm1","vs":"')
    pack = packed(Stream.TELEMETRY, [smuggler, Reading("level-1", "water_level", 0, 2.0)], first=5)

    given_ = Selection(uplink(devices=("level-1",))).of(pack)
    (one,) = Receiver().take(f"roadside/v1/{GATEWAY}/live", senml.payload(given_, GATEWAY, NOW))

    assert (one.number, one.fields["v"]) == (6, 2.0)


def test_what_was_given_up_for_another_uplink_is_none_of_the_partners_business():
    def gone(uplink_: str) -> LedgerEntry:
        return LedgerEntry(0, "dropped", "quota", 5, stream="telemetry", epoch=EPOCH, first=1, last=5, uplink=uplink_)

    pack = packed(Stream.LEDGER, [gone("city"), gone("partner"), gone("")], first=1)

    assert Selection(uplink(id="partner", devices=("air-1",))).of(pack).numbers == ((2, 3),)


# --- through a journal ---------------------------------------------------------------------------------------------


class Unreadable(Folder):
    """A card of which nothing that was there can be read; it takes what is new."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._there = set(self.names())

    def read(self, name: str) -> bytes:
        if name in self._there:
            raise OSError(errno.EIO, "Input/output error", name)
        return super().read(name)


class Partner:
    """A receiver behind a lossy line, with the journal's own end of it."""

    def __init__(self, folder: Path, configured: Any) -> None:
        self.folder = folder
        self.bench = Bench(folder)
        self.configured = configured
        self.receiver = Receiver()
        self.messages: list[Pack] = []
        self.whole: dict[tuple[str, str, int], Record] = {}  # all that the journal was given
        self.open()

    def open(self, card: Folder | None = None) -> None:
        self.journal: Journal = self.bench.open(uplinks=("city", "partner"), pack_size=3, card=card)
        self.outbox = FilteredOutbox(
            self.journal.outbox("partner"),
            Selection(self.configured),
            self.bench.clock,
            keep=lambda epoch, value: self.journal.keep(f"left_out/{epoch}", value),
        )
        for name in self.journal.kept_below("left_out/"):
            self.outbox.recall(name.removeprefix("left_out/"), self.journal.kept(name))
        self.outbox.rewind()

    def append(self, stream: Stream, made: list[Record]) -> None:
        epoch, first = self.journal.status().epoch, self.journal.status().next[stream.value]
        for number, one in enumerate(made, first):
            self.whole[epoch, stream.value, number] = one
        self.journal.append(stream, made)

    def pump(self, acks: int = 1000, arrives: int = 1000) -> bool:
        """Take what there is; so many messages arrive, and of these so many are acknowledged."""
        taken = []
        for lane in Lane:
            while (pack := self.outbox.next(lane)) is not None:
                taken.append((lane, pack))
        for count, (lane, pack) in enumerate(taken):
            if count < arrives:
                self.messages.append(pack)
                payload = senml.payload(pack, GATEWAY, NOW, uplink="partner")
                self.receiver.take(f"roadside/v1/{GATEWAY}/{lane.value}", payload)
                if count < acks:
                    self.outbox.done(pack)
        return bool(taken)


async def settle(partner: Partner) -> None:
    """Have the line stand until all is said."""
    await asyncio.sleep(0)
    for _ in range(3):
        partner.outbox.rewind()
        while partner.pump() or partner.journal._fetching.under_way:  # noqa: ASYNC110 - of the journal, which sets none
            await asyncio.sleep(0.001)
        partner.journal.close_packs()
        partner.outbox._cover()  # ten minutes later


steps = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(STREAMS)),
    st.tuples(st.just("pump"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.sampled_from(["turn", "commit", "kill", "power", "unread", "rewind", "cover"])),
)


async def happen(partner: Partner, what: str, how: list[Any], data: Any) -> None:
    match what:
        case "append":
            partner.append(how[0], data.draw(st.lists(records(how[0]), min_size=1, max_size=5)))
        case "pump":
            partner.pump(*how)
        case "turn":
            await asyncio.sleep(0)
        case "commit":
            await partner.journal.commit()
        case "rewind":
            partner.outbox.rewind()
        case "cover":
            partner.outbox._cover()
        case "kill" | "power" | "unread":
            partner.bench.let_go()
            if what != "kill":
                partner.bench.power_cut()
            partner.open(Unreadable(partner.folder / "card") if what == "unread" else None)


@settings(max_examples=60, deadline=None)
@given(st.data(), filters, st.lists(steps, max_size=14))
def test_whatever_happens_on_the_way_the_partner_has_its_part_and_can_prove_it(data, configured, happens):
    async def play(folder: Path) -> None:
        partner = Partner(folder, configured)
        try:
            for what, *how in happens:
                await happen(partner, what, how, data)
            if any(what == "unread" for what, *_ in happens):
                await partner.journal.commit()
                await happen(partner, "kill", [], data)  # now the card can be read
            await settle(partner)
            prove(partner)
        finally:
            partner.bench.let_go()
            await asyncio.get_running_loop().shutdown_default_executor()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


def test_what_was_left_out_before_a_card_could_not_be_read_is_not_forgotten_over_what_was_since(folder):
    async def play() -> None:
        partner = Partner(folder, uplink(id="partner", devices=("level-1",)))
        try:
            partner.append(Stream.TELEMETRY, [Reading("air-1", "pm1", 0, 1.0)])
            partner.journal.close_packs()
            assert not partner.pump()
            partner.append(Stream.TELEMETRY, [Reading("level-1", "water_level", 0, 2.0)])
            await partner.journal.commit()
            await happen(partner, "unread", [], None)
            partner.append(Stream.TELEMETRY, [Reading("air-1", "pm1", 0, 3.0)])
            partner.journal.close_packs()
            assert not partner.pump()
            await partner.journal.commit()
            await happen(partner, "kill", [], None)  # now the card can be read
            await settle(partner)
            prove(partner)
        finally:
            partner.bench.let_go()
            await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(play())


def test_a_message_that_covers_what_an_earlier_run_left_out_goes_up_although_the_line_broke_before_it_did(folder):
    async def play() -> None:
        partner = Partner(folder, uplink(id="partner", devices=("level-1",)))
        try:
            partner.append(Stream.TELEMETRY, [Reading("air-1", "pm1", 0, 1.0)])
            partner.journal.close_packs()
            assert not partner.pump()
            await happen(partner, "kill", [], None)
            partner.append(Stream.TELEMETRY, [Reading("air-1", "pm1", 0, 2.0)])
            partner.journal.close_packs()
            assert partner.outbox.next(Lane.LIVE) is None
            partner.outbox.rewind()
            partner.pump()
            (account,) = partner.receiver.accounts.values()
            assert list(account.left_out) == [(1, 1)]
        finally:
            partner.bench.let_go()
            await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(play())


def prove(partner: Partner) -> None:
    """Hold what the partner got against all there was."""
    accounts = {(series.epoch, series.stream): account for series, account in partner.receiver.accounts.items()}
    assert [account.missing() for account in accounts.values()] == [[]] * len(accounts)
    for (epoch, _), account in accounts.items():
        if epoch in {name[0] for name in partner.whole}:  # this receiver was there from the first number on
            known = Ranges([*account.received, *account.given_up, *account.left_out])
            assert list(known.gaps(1, max((last for _, last in known), default=0))) == []
    for (epoch, stream, number), record in partner.whole.items():
        account = accounts.get((epoch, stream))
        got = account is not None and account.received.covers(number, number)
        if not is_for(partner.configured, Stream(stream), record):
            assert not got
        elif not got:  # only a power cut may have taken it, and the ledger says so
            assert account is not None
            assert account.lost_from is not None
            assert number >= account.lost_from


@pytest.mark.parametrize("kept", [None, 7, [[1, []]], [["t", []]], [["alarm", [[2, 1]]]], [["alarm", ["12"]]]])
def test_numbers_that_were_kept_in_another_shape_are_refused(folder, kept):
    async def refuse() -> None:
        partner = Partner(folder, uplink(id="partner", devices=("air-1",)))
        with pytest.raises(ValueError, match=r"not numbers|not a valid Stream"):
            partner.outbox.recall("e", kept)
        partner.bench.let_go()

    asyncio.run(refuse())


# --- what it costs -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_a_partner_that_is_given_nothing_for_a_day_gets_a_message_in_ten_minutes(folder):
    async def day() -> None:
        partner = Partner(folder, uplink(id="partner", devices=("level-1",), live_within=3600.0))
        for _ in range(24 * 60):
            partner.append(Stream.TELEMETRY, [Reading("air-1", "pm1", partner.bench.clock.now, 1.0)] * 3)
            partner.pump()
            await asyncio.sleep(60)
        assert len(partner.messages) in range(130, 145)
        assert all(pack.numbers == () for pack in partner.messages)
        await asyncio.sleep(filtering.COVER_EVERY)
        partner.pump()
        (account,) = partner.receiver.accounts.values()
        assert list(account.left_out) == [(1, 3 * 24 * 60)]
        assert account.missing() == []
        partner.bench.let_go()

    virtual.run(day())


def test_what_is_given_covers_what_was_left_out_before_it_and_no_message_is_spent_on_that(folder):
    async def hour() -> None:
        partner = Partner(folder, uplink(id="partner", devices=("level-1",)))
        for number in range(60):
            device = "level-1" if number % 5 == 4 else "air-1"
            partner.append(Stream.TELEMETRY, [Reading(device, "pm1", partner.bench.clock.now, 1.0)] * 3)
            partner.pump()
            await asyncio.sleep(60)
        assert len(partner.messages) == 12
        (account,) = partner.receiver.accounts.values()
        assert (account.missing(), account.received.count(), account.left_out.count()) == ([], 36, 144)
        partner.bench.let_go()

    virtual.run(hour())


def test_old_numbers_are_accounted_for_as_soon_as_newer_ones_are_known(folder):
    async def minute() -> None:
        partner = Partner(folder, uplink(id="partner", devices=("level-1",)))
        partner.append(Stream.TELEMETRY, [Reading("air-1", "pm1", partner.bench.clock.now, 1.0)] * 3)
        partner.outbox.rewind()  # which makes history of it
        partner.append(Stream.TELEMETRY, [Reading("level-1", "pm1", partner.bench.clock.now, 1.0)] * 3)
        live = partner.outbox.next(Lane.LIVE)
        assert (live.first, live.last) == (4, 6)
        history = partner.outbox.next(Lane.HISTORY)
        assert (history.first, history.last, history.numbers) == (1, 3, ())
        assert partner.outbox.next(Lane.HISTORY) is None
        partner.bench.let_go()

    virtual.run(minute())


def test_a_long_backlog_that_is_not_for_the_partner_holds_nobody_up(folder):
    async def backlog() -> None:
        partner = Partner(folder, uplink(id="partner", devices=("level-1",)))
        announced = asyncio.Event()
        partner.outbox.on_new(announced.set)
        partner.append(Stream.TELEMETRY, [Reading("air-1", "pm1", partner.bench.clock.now, 1.0)] * 3)
        for _ in range(3 * filtering.AT_ONCE):
            partner.append(Stream.TELEMETRY, [Reading("air-1", "pm1", partner.bench.clock.now, 1.0)] * 3)
        partner.append(Stream.TELEMETRY, [Reading("level-1", "pm1", partner.bench.clock.now, 1.0)] * 3)
        turns = 0
        while not partner.messages:
            announced.clear()
            if not partner.pump():
                await announced.wait()
            turns += 1
        assert turns == 4
        assert partner.messages[0].first == 1
        partner.bench.let_go()

    asyncio.run(backlog())
