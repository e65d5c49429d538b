"""Strategies for whatever a gateway may have to say, and packs of it."""

from hypothesis import strategies as st

from agent.journal.pack import Pack
from agent.journal.packing import encode_append, start
from agent.readings import Acknowledgement, AlarmEvent, Anchor, LedgerEntry, Reading, Stream
from drivers.contract import Reason

BOOT = "0b" * 16
EPOCH = "9f0c5a7d31e2b846"
GATEWAY = "pkt-0042"

instants = st.integers(0, 10**17)  # three years of boottime, in nanoseconds
names = st.from_regex(r"[a-z][a-z0-9_-]{0,11}", fullmatch=True)
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
hexadecimal = st.integers(0, 2**64 - 1).map("{:016x}".format)

readings = st.builds(
    Reading,
    device=names,
    quantity=names,
    at=instants,
    value=values,
    reason=st.none() | st.sampled_from(Reason),
    unit=st.sampled_from(["", "ug/m3", "m"]),
    partial=st.booleans(),
    test=st.booleans(),
)
raised_or_cleared = st.builds(
    AlarmEvent,
    names,
    names,
    instants,
    hexadecimal,
    raised=st.booleans(),
    quantity=st.just("") | names,
    value=values,
    test=st.booleans(),
)
acknowledged = st.builds(
    Acknowledgement, names, names, instants, hexadecimal, names, quantity=st.just("") | names, test=st.booleans()
)
alarms = raised_or_cleared | acknowledged
anchors = st.builds(Anchor, st.just(BOOT), instants, st.integers(0, 2 * 10**18), st.floats(0, 1e6), names)
withheld = st.builds(
    LedgerEntry,
    instants,
    st.just("withheld"),
    names,
    st.integers(1, 10**6),
    device=names,
    quantity=names,
    since=instants,
    until=instants,
)
dropped = st.builds(
    lambda at, first, count: LedgerEntry(
        at, "dropped", "card_full", count, stream="telemetry", epoch=EPOCH, first=first, last=first + count - 1
    ),
    instants,
    st.integers(1, 10**6),
    st.integers(1, 1000),
)
RECORDS = {
    Stream.TELEMETRY: readings,
    Stream.ALARM: alarms,
    Stream.ANCHOR: anchors,
    Stream.LEDGER: withheld | dropped,
}
LANE_OF = {
    Stream.TELEMETRY: "live",
    Stream.ALARM: "alarms",
    Stream.ANCHOR: "anchors",
    Stream.LEDGER: "ledger",
}


def packed(stream, records, *, first=1, base=None) -> Pack:
    """Return records as the journal packs them."""
    opened = start(stream, first, records[0].at if base is None else base)
    _frame, body = encode_append(opened, records)
    opened.add(body, len(records))
    return opened.close(EPOCH, BOOT)


@st.composite
def some_packs(draw):
    """Draw a pack and the records in it."""
    stream = draw(st.sampled_from(sorted(RECORDS)))
    records = draw(st.lists(RECORDS[stream], min_size=1, max_size=8))
    return packed(stream, records, first=draw(st.integers(1, 10**9))), records
