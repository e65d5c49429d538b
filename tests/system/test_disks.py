"""A disk that fails is told, nobody is disturbed by it, and readings wait elsewhere until it works again."""

import os

from tests.system.gateway import Gateway
from tests.system.troubles import fill, inside, small_disk, unprivileged

JOURNAL = "var/lib/roadside/journal"
YOUNG = "run/roadside/young"


def card_fails(said):
    return "card" in said["journal"]["faults"]


def young_end_fails(said):
    return "young_end" in said["journal"]["faults"]


def all_is_well(said):
    return not said["journal"]["faults"]


async def test_a_card_that_is_full_is_told_until_there_is_room(broker):
    async with Gateway(broker.url, wrap=small_disk(JOURNAL), settings={"journal.reserve": "0 B"}) as gateway:
        await gateway.go_on("air-1")
        filler = fill(inside(gateway.agent.pid, gateway.root / JOURNAL))
        await gateway.link.cut()  # what is acknowledged at once needs no card
        await gateway.says(card_fails)
        assert card_fails(await gateway.status())
        await gateway.until(lambda: "journal_fault fault=card" in gateway.log())
        await gateway.link.restore()  # from here on what is delivered makes room, and all may be well by itself
        await gateway.go_on("air-1", "level-1", "meter-1")
        filler.unlink()
        await gateway.tells(all_is_well, log="journal_well fault=card")
        await gateway.loses_nothing()


async def test_a_full_memory_for_what_is_new_is_told_until_there_is_room(broker):
    async with Gateway(broker.url, wrap=small_disk(YOUNG)) as gateway:
        await gateway.go_on("air-1")
        filler = fill(inside(gateway.agent.pid, gateway.root / YOUNG))
        await gateway.tells(young_end_fails, log="journal_fault fault=young_end")
        await gateway.go_on("air-1", "level-1", "meter-1")
        filler.unlink()
        await gateway.tells(all_is_well, log="journal_well fault=young_end")
        await gateway.link.cut()
        await gateway.says(lambda said: said["journal"]["waiting"]["city"]["telemetry"] > 20)
        await gateway.kill()
        await gateway.link.restore()


async def test_a_journal_folder_that_is_not_writable_is_told_until_it_is(broker):
    async with Gateway(broker.url, wrap=unprivileged, start=False) as gateway:
        folder = gateway.root / JOURNAL
        folder.mkdir(parents=True)
        folder.chmod(0o500)
        await gateway.start()
        await gateway.tells(card_fails, log="journal_fault fault=card")
        await gateway.go_on("air-1", "level-1", "meter-1")
        folder.chmod(0o700)
        await gateway.tells(all_is_well, log="journal_well fault=card")
        await gateway.loses_nothing()
        assert os.listdir(folder)
