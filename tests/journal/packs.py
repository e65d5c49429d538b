"""How tests look into packs."""

import json
import zlib

from agent.journal.pack import Lane, Outbox, Pack


def values(pack: Pack) -> list[int]:
    """Return the values in a pack, its sums checked."""
    records = zlib.decompress(pack.body, -15)
    assert len(records) == pack.size
    assert zlib.adler32(records) == pack.adler
    found = [record["v"] for record in json.loads(b"[" + records)]
    assert len(found) == pack.last - pack.first + 1
    return found


def drain(outbox: Outbox, lane: Lane = Lane.HISTORY) -> list[Pack]:
    """Take all that waits in a lane and is at hand."""
    taken = []
    while pack := outbox.next(lane):
        taken.append(pack)
    return taken


def waiting(outbox: Outbox, lane: Lane = Lane.HISTORY) -> list[int]:
    """Return the values of all that waits in a lane."""
    return [value for pack in drain(outbox, lane) for value in values(pack)]
