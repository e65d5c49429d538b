"""What somebody else left in the folders of a journal: it stays, and costs no reading."""

import pytest

from agent.readings import Stream


async def filled_and_cut(bench, count=5):
    """Commit some readings, and cut the power: what is left is what the card gives back."""
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(count))
    await journal.commit()
    assert journal.status().faults == {}
    bench.power_cut()


async def came_back(bench):
    journal = bench.open()
    await journal.commit()
    return journal.status().waiting["city"][Stream.TELEMETRY]


def highest_number(folder):
    (folder / "9999999999.segment").touch()


def digits_of_another_script(folder):
    (folder / "٠٠٠٠٠٠٠٠٠٩.segment").touch()


def a_number_written_otherwise(folder):
    (folder / "00000000001.segment").touch()


def a_folder_of_the_next_number(folder):
    (folder / "0000000001.segment").mkdir()


def a_link_to_nowhere(folder):
    (folder / "x").symlink_to("y")


def a_link_to_itself(folder):
    (folder / "0000000001.segment").symlink_to("0000000001.segment")


@pytest.mark.parametrize(
    "stranger",
    [
        highest_number,
        digits_of_another_script,
        a_number_written_otherwise,
        a_folder_of_the_next_number,
        a_link_to_nowhere,
        a_link_to_itself,
    ],
)
async def test_a_stranger_on_the_card_costs_no_reading(bench, stranger):
    bench.card.path.mkdir(parents=True, exist_ok=True)
    stranger(bench.card.path)
    await filled_and_cut(bench)
    assert await came_back(bench) == 5


async def test_a_file_of_the_highest_number_in_the_young_end_costs_no_reading(bench):
    bench.young.path.mkdir(parents=True, exist_ok=True)
    (bench.young.path / "9999999999.young").touch()
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    epoch = journal.status().epoch
    bench.let_go()
    journal = bench.open()
    assert journal.status().epoch == epoch
    assert journal.status().waiting["city"][Stream.TELEMETRY] == 5
