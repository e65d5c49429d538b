"""Wherever it is cut off, and whatever of it has reached the card: it is finished and right, or says that it is not."""

import random
from datetime import UTC, datetime

import pytest
from backports import zstd

from agent.flashing.card import make, prepare
from agent.flashing.medium import Card, FlashError
from agent.flashing.writing import FIRST, MARK, is_unfinished
from tests.flashing import images

NOW = 1_795_000_000.0
MOMENT = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Recording:
    """A card in memory that remembers what was done to it."""

    is_device = True

    def __init__(self, content):
        self.size = len(content)
        self.content = bytearray(content)
        self.steps = []

    def read(self, offset, size):
        return bytes(self.content[offset : offset + size])

    def write(self, offset, data):
        self.content[offset : offset + len(data)] = data
        self.steps.append((offset, bytes(data)))

    def sync(self):
        self.steps.append(None)


def apply(content, writes):
    for offset, data in writes:
        content[offset : offset + len(data)] = data


def quiet(what, done, total):
    del what, done, total


@pytest.fixture(scope="module")
def whole(made):
    """A finished card of somebody else, which is written over."""
    return (made / "bookworm.img").read_bytes()


def test_a_card_that_is_pulled_out_at_any_step_is_unfinished(order, whole):
    card, chance = Recording(whole), random.Random(1)
    make(prepare(order("bookworm"), NOW), card, quiet, MOMENT)
    synced, waiting, states = bytearray(whole), [], []
    for step in card.steps:
        if step is None:
            apply(synced, waiting)
            waiting = []
        else:
            waiting.append(step)
        # Of what was not synced yet any part may have reached the card, in any order; its beginning tells.
        arrived = chance.sample(waiting, chance.randint(0, len(waiting)))
        first = synced[:FIRST]
        apply(first, [(0, data[:FIRST]) for offset, data in arrived if offset == 0])
        states.append(bytes(first[: len(MARK)]) == MARK)
        if states[-1]:
            assert first[510:] != b"\x55\xaa"  # nothing starts from it
        else:
            left = bytearray(synced)
            apply(left, arrived)
            assert left in (whole, card.content)
    assert synced == card.content
    assert states.count(True) > 20
    assert not any(states[: states.index(True)])
    assert not any(states[len(states) - states[::-1].index(True) :])


def test_an_image_that_is_not_whole_is_refused_before_anything_is_erased(order, made, tmp_path):
    image = tmp_path / "short.img"
    image.write_bytes((made / "bookworm.img").read_bytes()[:-512])
    with pytest.raises(FlashError, match="not whole"):
        prepare(order(image=image), NOW)


@pytest.mark.parametrize("kept", [images.BOOT_AT + 600, images.BOOT_AT + 20_001, images.BOOT_AT + images.BOOT_SIZE])
def test_an_image_that_ends_in_its_boot_partition_is_not_whole(order, made, tmp_path, kept):
    cut = tmp_path / "cut.img"
    cut.write_bytes((made / "bookworm.img").read_bytes()[:kept])
    with pytest.raises(FlashError, match="is not whole"):
        prepare(order(image=cut), 0.0)


def test_a_boot_partition_without_room_is_found_before_anything_is_erased(order, made, tmp_path):
    full = tmp_path / "full.img"
    full.write_bytes((made / "bookworm.img").read_bytes())
    (tmp_path / "fill").write_bytes(bytes(30 * images.MIB))
    images.run("mcopy", "-i", f"{full}@@{images.BOOT_AT}", str(tmp_path / "fill"), "::/")
    with pytest.raises(FlashError, match="MiB free, and"):
        prepare(order(image=full), 0.0)


def test_a_packed_image_that_is_not_whole_leaves_an_unfinished_card(order, made, tmp_path):
    image = tmp_path / "short.img.zst"
    image.write_bytes(zstd.compress((made / "bookworm.img").read_bytes()[:-512]))
    with Card(tmp_path / "card") as card:
        with pytest.raises(FlashError, match="not whole"):
            make(prepare(order(image=image), NOW), card, quiet, MOMENT)
        assert is_unfinished(card)


def test_a_card_that_is_too_small_is_left_alone(order, whole):
    small = Recording(whole[: 30 << 20])
    with pytest.raises(FlashError, match=r"the card has 0\.0 GB"):
        make(prepare(order(), NOW), small, quiet, MOMENT)
    assert not small.steps
