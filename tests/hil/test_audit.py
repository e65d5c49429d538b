"""The account finds what was lost, doubled and misdated, and excuses nothing else than what nobody could have read."""

import dataclasses
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.contract import Reason
from hil.audit import audit
from hil.emissions import Cut, Deaf, Emission, Kind
from hil.packs import Received, Statement

STAMP = {"gateway": "pkt-0042", "epoch": "e", "boot": "b", "arrived": 0.0, "lane": "live"}
NOON = 1_795_346_000.0


def said(value, at: float, **other) -> Emission:
    fields = {"device": "air-1", "quantity": "pm10", "unit": "ug/m3", "step": 1, "start": 0, "end": 32} | other
    return Emission(value=value, at=NOON + at, **fields)


def came(value, at: float | None, number: int = 0, **other) -> Received:
    fields = {"device": "air-1", "quantity": "pm10", "unit": "ug/m3", "reason": "", "uncertainty": 0.1} | other
    utc = None if at is None else NOON + at
    return Received(
        **STAMP, stream="telemetry", number=number, boottime=1000 + (at or 0), utc=utc, value=value, **fields
    )


def withheld(count: int, since: float, until: float, **other) -> Statement:
    fields = {"device": "air-1", "quantity": "pm10", "kind": "withheld", "why": "deadband"} | other
    return Statement(
        **STAMP, stream="ledger", number=0, boottime=1000.0, utc=NOON + 1000, uncertainty=0.0,
        since=since, until=until, count=count, **fields,
    )  # fmt: skip


def as_received(emissions: list[Emission], late: float = 0.0) -> list[Received]:
    """What a perfect agent delivers."""
    return [came(emission.value, emission.at - NOON + late, number) for number, emission in enumerate(emissions)]


def line(account) -> str:
    return str(account)


# --- samples ---


def test_the_last_line_is_exactly_this():
    assert line(audit([], [])) == "emitted 0  received 0  unheard 0  withheld 0  lost 0  doubled 0  misdated 0"


def test_a_reading_near_its_emission_is_received():
    account = audit([said(8, 0)], [came(8, 0.55)])
    assert line(account) == "emitted 1  received 1  unheard 0  withheld 0  lost 0  doubled 0  misdated 0"
    assert account.clean


def test_a_reading_beyond_tolerance_and_uncertainty_is_misdated():
    account = audit([said(8, 0)], [came(8, 0.65)])
    assert line(account) == "emitted 1  received 0  unheard 0  withheld 0  lost 0  doubled 0  misdated 1"
    assert audit([said(8, 0)], [came(8, 0.65, uncertainty=0.2)]).clean


def test_an_emission_that_never_came_is_lost():
    account = audit([said(8, 0), said(9, 1)], [came(8, 0)])
    assert account.lost == [said(9, 1)]
    assert not account.clean


def test_a_reading_that_came_under_two_numbers_is_doubled():
    account = audit([said(8, 0)], [came(8, 0, 1), came(8, 0, 2)])
    assert (len(account.received), len(account.doubled), len(account.misdated)) == (1, 1, 0)


def test_a_value_that_was_never_emitted_is_misdated():
    account = audit([said(8, 0)], [came(8, 0), came(777, 0)])
    assert [(it.reading.value, it.emission) for it in account.misdated] == [(777, None)]


def test_a_reading_that_was_never_dated_is_misdated():
    assert len(audit([said(8, 0)], [came(8, None)]).misdated) == 1


def test_another_unit_is_another_value():
    assert len(audit([said(8, 0)], [came(8, 0, unit="mg/m3")]).lost) == 1


def test_a_value_may_be_rounded_to_what_the_wire_can_express():
    wire = {"quantity": "voltage", "unit": "V", "step": 0.001}
    assert audit([said(233.4119873046875, 0, **wire)], [came(233.412, 0, quantity="voltage", unit="V")]).clean
    assert not audit([said(233.41, 0, **wire)], [came(233.412, 0, quantity="voltage", unit="V")]).clean


def test_a_reason_is_received_as_a_value_is():
    emission = said(None, 0, reason=Reason.NO_ECHO)
    assert len(audit([emission], [came(None, 0.1, reason="no_echo")]).received) == 1
    assert len(audit([emission], [came(None, 0.1, reason="silent")]).lost) == 1


def test_what_the_agent_remarks_of_a_device_is_no_measurement():
    remarks = [came(None, 3, reason="silent"), came(9, 3, quantity="pm10:max"), came(1, 3, device="gateway")]
    assert audit([said(8, 0)], [came(8, 0), *remarks]).clean


def test_the_mean_of_a_window_is_no_measurement_and_what_went_into_it_has_to_be_withheld():
    emissions = [said(8, 0), said(9, 1)]
    window = [came(value, 2, quantity=f"pm10:{name}") for name, value in (("mean", 8.5), ("min", 8), ("max", 9))]
    assert audit(emissions, window, statements=[withheld(2, 0, 1)]).clean
    assert len(audit(emissions, window, statements=[withheld(1, 0, 1)]).lost) == 1


def test_a_quantity_that_no_device_has_is_misdated():
    assert len(audit([said(8, 0)], [came(8, 0), came(3, 0, quantity="pm1")]).misdated) == 1


def test_readings_dated_a_while_too_late_are_misdated_although_each_value_exists():
    emissions = [said(value, value) for value in range(20)]
    account = audit(emissions, as_received(emissions, late=3))
    assert (len(account.misdated), len(account.received)) == (20, 0)


# --- what nobody could have read, and what the agent withheld ---


def test_bytes_that_nobody_read_are_unheard_and_so_is_a_frame_of_which_a_part_was_not_read():
    emissions = [said(value, value, start=value * 32, end=value * 32 + 32) for value in range(4)]
    account = audit(emissions, as_received(emissions)[:1], deaf=[Deaf("air-1", 40, 96)])
    assert account.unheard == emissions[1:3]
    assert account.lost == emissions[3:]


def test_a_deaf_stretch_excuses_its_own_device_alone():
    assert len(audit([said(8, 0)], [], deaf=[Deaf("level-1", 0)]).lost) == 1


def test_a_frame_just_before_the_kill_is_cut_by_it_but_one_before_that_is_lost():
    emissions = [said(7, 0), said(8, 1)]
    account = audit(emissions, [], cuts=[Cut("air-1", NOON + 0.95, NOON + 1)])
    assert (account.lost, account.unheard) == ([emissions[0]], [emissions[1]])


def test_a_statement_covers_as_many_as_it_says_and_no_more():
    emissions = [said(8, second) for second in range(10)]
    account = audit(emissions, [], statements=[withheld(6, 0, 9)])
    assert (len(account.withheld), len(account.lost)) == (6, 4)


@pytest.mark.parametrize("other", [{"quantity": "pm1"}, {"device": "air-2"}, {"kind": "dropped"}])
def test_a_statement_of_something_else_covers_nothing(other):
    assert len(audit([said(8, 1)], [], statements=[withheld(5, 0, 9, **other)]).lost) == 1


def test_a_statement_covers_its_own_span_alone():
    emissions = [said(8, 1), said(8, 20)]
    assert audit(emissions, [], statements=[withheld(2, 0, 9)]).lost == emissions[1:]


def test_two_statements_share_what_both_speak_of():
    emissions = [said(8, second) for second in range(6)]
    statements = [withheld(3, 0, 5), withheld(3, 0, 2)]
    assert audit(emissions, [], statements=statements).clean


def test_of_equal_values_a_reading_is_of_the_nearest_and_the_others_are_for_the_ledger():
    emissions = [said(8, second) for second in range(6)]
    statements = [withheld(2, 0, 1), withheld(3, 3, 5)]
    account = audit(emissions, [came(8, 2, uncertainty=0.5)], statements=statements, tolerance=0.5)
    assert line(account) == "emitted 6  received 1  unheard 0  withheld 5  lost 0  doubled 0  misdated 0"


def test_unheard_emissions_leave_the_readings_to_those_that_were_heard():
    emissions = [said(8, value / 10, start=value * 32, end=value * 32 + 32) for value in range(8)]
    account = audit(emissions, as_received(emissions)[4:], deaf=[Deaf("air-1", 0, 128)])
    assert account.unheard == emissions[:4]
    assert account.clean


def test_an_unheard_emission_that_was_received_after_all_makes_no_double():
    heard, unheard = said(8, 0.3, start=32, end=64), said(8, -0.2, start=0, end=32)
    account = audit([unheard, heard], [came(8, 0, 1), came(8, 0.4, 2)], deaf=[Deaf("air-1", 0, 32)])
    assert len(account.received) == 2
    assert account.clean


# --- states ---


def press(value: bool, at: float) -> Emission:
    return Emission("panic-1", "pressed", value, NOON + at, kind=Kind.STATE)


def state(value: bool, at: float, number: int = 0) -> Received:
    return came(value, at, number, device="panic-1", quantity="pressed", unit="")


PRESSES = [press(True, 10), press(False, 11), press(True, 20), press(False, 21)]
REPORTS = [state(False, 0), state(True, 10), state(False, 11), state(True, 20), state(False, 21), state(False, 300)]


def test_presses_are_received_and_repeats_of_a_state_are_nothing():
    account = audit(PRESSES, REPORTS)
    assert (account.emitted, len(account.received)) == (4, 4)
    assert account.clean


def test_a_press_that_never_came_is_lost_although_the_state_is_repeated():
    account = audit(PRESSES, [state(False, 0), state(True, 10), state(False, 11), state(False, 21.2)])
    assert account.lost == PRESSES[2:]


def test_a_state_that_was_not_true_is_misdated():
    account = audit(PRESSES, [*REPORTS, state(True, 15), state(False, 16)])
    assert len(account.misdated) == 1


def test_a_press_under_two_numbers_is_doubled():
    assert len(audit(PRESSES, [*REPORTS, state(True, 10, 9)]).doubled) == 1


def test_the_true_state_after_a_deaf_stretch_is_news_and_right():
    reports = [state(False, 0), state(True, 10), state(False, 12), state(True, 20), state(False, 21)]
    account = audit(PRESSES, reports, deaf=[Deaf("panic-1", NOON + 10.5, NOON + 12)])
    assert len(account.unheard) == 1
    assert account.clean


def test_a_state_that_went_away_and_came_back_while_nobody_listened_may_be_told_again():
    reports = [state(True, 10), state(True, 20), state(False, 21)]
    account = audit(PRESSES, reports, deaf=[Deaf("panic-1", NOON + 10.5, NOON + 19)])
    assert (len(account.received), len(account.unheard)) == (3, 1)
    assert account.clean


def test_a_button_that_nobody_pressed_is_not_pressed():
    others = [said(8, 0, device="panic-1", quantity="on")]
    held = [came(8, 0, device="panic-1", quantity="on")]
    assert audit(others, [*held, state(False, 0)]).clean
    assert len(audit(others, [*held, state(True, 0)]).misdated) == 1


# --- totals ---


def tip(at: float) -> Emission:
    return Emission("rain-1", "rain", 0.2, NOON + at, "mm", 0.2, kind=Kind.COUNT)


def total(millimetres: float, at: float, number: int = 0) -> Received:
    return came(millimetres, at, number, device="rain-1", quantity="rain", unit="mm")


TIPS = [tip(10), tip(20), tip(30)]


def test_tips_are_received_as_increments_and_repeats_of_the_total_are_nothing():
    account = audit(TIPS, [total(0, 0), total(0.2, 10), total(0.4, 20), total(0.4, 25), total(0.6, 30), total(0.6, 99)])
    assert (account.emitted, len(account.received)) == (3, 3)
    assert account.clean


def test_a_tip_that_is_in_no_total_is_lost():
    assert audit(TIPS, [total(0.2, 10), total(0.4, 30)]).lost == [TIPS[1]]


def test_a_total_that_counts_a_tip_twice_is_doubled():
    account = audit(TIPS, [total(0.2, 10), total(0.6, 20), total(0.8, 30)])
    assert len(account.doubled) + len(account.misdated) == 1


def test_an_increment_at_another_time_is_misdated():
    account = audit(TIPS, [total(0.2, 10), total(0.4, 25), total(0.6, 30)])
    assert [(it.reading.value, it.emission) for it in account.misdated] == [(0.4, TIPS[1])]


def test_a_total_may_take_in_several_tips_at_once():
    assert audit(TIPS, [total(0, 0), total(0.6, 30)]).clean


def test_a_total_that_fell_back_has_lost_what_it_forgot():
    account = audit(TIPS, [total(0.2, 10), total(0.4, 20), total(0.2, 25), total(0.4, 30)])
    assert account.lost == [TIPS[1]]


def test_tips_while_nobody_listened_are_unheard_and_in_no_total():
    account = audit(TIPS, [total(0.2, 10), total(0.2, 25), total(0.4, 30)], deaf=[Deaf("rain-1", NOON + 15, NOON + 25)])
    assert account.unheard == [TIPS[1]]
    assert account.clean


# --- for any run of an agent ---

gaps = st.lists(st.floats(0.05, 5), min_size=1, max_size=40)


@st.composite
def runs(draw) -> list[Emission]:
    """Emissions of a slowly changing integer at uneven times."""
    at, value, emissions = 0.0, 50, []
    for number, gap in enumerate(draw(gaps)):
        at += gap
        value += draw(st.integers(-2, 2))
        emissions.append(said(value, at, start=number * 32, end=number * 32 + 32))
    return emissions


@given(runs(), st.floats(-0.5, 0.5), st.randoms(use_true_random=False))
def test_a_perfect_agent_is_clean_in_whatever_order_its_packs_arrive(emissions, late, order: random.Random):
    readings = as_received(emissions, late)
    order.shuffle(readings)
    account = audit(emissions, readings)
    assert account.clean
    assert len(account.received) == len(emissions)


@given(runs(), st.data())
def test_whatever_is_left_out_is_lost_and_counted(emissions, data):
    left_out = data.draw(st.sets(st.integers(0, len(emissions) - 1), max_size=5))
    readings = [it for it in as_received(emissions) if it.number not in left_out]
    account = audit(emissions, readings)
    assert len(account.lost) == len(left_out)
    assert not account.doubled
    assert not account.misdated


@given(runs(), st.data())
def test_whatever_comes_twice_is_found(emissions, data):
    readings = as_received(emissions)
    again = data.draw(st.sampled_from(readings))
    account = audit(emissions, [*readings, dataclasses.replace(again, number=1000)])
    assert (len(account.doubled), len(account.lost), len(account.misdated)) == (1, 0, 0)


@given(runs(), st.data())
def test_whatever_is_moved_in_time_is_found(emissions, data):
    readings = as_received(emissions)
    index = data.draw(st.integers(0, len(readings) - 1))
    by = data.draw(st.floats(1.3, 100) | st.floats(-100, -1.3))
    moved = dataclasses.replace(readings[index], utc=readings[index].utc + by)
    # A value that was also said about where it is moved to is another reading's double, or its place.
    assume(not any(it.value == moved.value and abs(it.at - moved.utc) < 1.3 for it in emissions))
    assume(not any(it.value == moved.value and 0 < abs(it.at - emissions[index].at) < 1.3 for it in emissions))
    account = audit(emissions, [*readings[:index], moved, *readings[index + 1 :]])
    assert not account.clean
    assert account.misdated


@given(runs(), st.data())
def test_every_emission_is_in_the_account_once(emissions, data):
    readings = data.draw(st.lists(st.sampled_from(as_received(emissions)), max_size=20))
    shifted = [dataclasses.replace(it, utc=it.utc + data.draw(st.floats(-2, 2))) for it in readings]
    first, last = sorted((data.draw(st.integers(0, 1300)), data.draw(st.integers(0, 1300))))
    account = audit(
        emissions,
        shifted,
        deaf=[Deaf("air-1", first, last)],
        cuts=[Cut("air-1", NOON + 3, NOON + 4)],
        statements=[withheld(data.draw(st.integers(0, 20)), 0, 50)],
    )
    elsewhere = [it for it in account.misdated if it.emission is not None]
    places = [account.received, account.unheard, account.withheld, account.lost, elsewhere]
    assert sum(map(len, places)) == account.emitted == len(emissions)
    others = len(account.doubled) + len(account.misdated)
    assert len(account.received) + others == len(shifted)


def test_the_rate_that_is_made_of_a_count_is_no_measurement_but_a_weather_stations_own_is():
    rate = came(8, 0, device="rain-1", quantity="rain_rate")
    rain = [came(0.2, 0, device="rain-1", quantity="rain"), rate]
    assert audit([tip(0)], rain).clean
    assert audit([said(0.2, 0, device="rain-1", quantity="rain")], rain).misdated == [(rate, None)]
