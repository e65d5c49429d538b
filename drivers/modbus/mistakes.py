"""What is wrong with a profile that is whole as a table: what no field can tell about itself."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import combinations
from typing import NamedTuple

from drivers.contract import N_
from drivers.modbus.frames import OF_BITS
from drivers.modbus.profile import Profile, Value
from drivers.quantities import QUANTITIES

MOST_REGISTERS = 125  # of a reply: its byte count is one byte, and its frame 256 at most (protocol, 6.3)
NAME = r"[a-z][a-z0-9_]*"
KINDS = ("values", "channels", "outputs")


class Mistake(NamedTuple):
    """One mistake: the path of its key in the file, and what is wrong there."""

    path: tuple[str | int, ...]
    text: str  # to be translated, and then filled with `fields`
    fields: dict[str, str | int]


def mistakes(profile: Profile) -> Iterator[Mistake]:
    """Tell what is wrong with a profile; nothing if it can be used."""
    given = [kind for kind in KINDS if getattr(profile, kind)]
    if len(given) != 1:
        text = N_("a profile has one of 'values' (a meter), 'channels' (4-20 mA inputs) and 'outputs' (relays)")
        yield Mistake((given[-1],) if given else (), text, {})
    if profile.function not in (3, 4) and profile.channels:
        yield Mistake(("function",), N_("4-20 mA inputs are read by function 3 or 4"), {})
    for quantity, value in profile.values.items():
        yield from _of_value(profile, quantity, value)
    for (one, first), (other, second) in combinations(profile.values.items(), 2):
        if set(first.registers) & set(second.registers):
            text = N_("register {register} already belongs to '{quantity}'")
            path = ("values", other, "register")
            yield Mistake(path, text, {"register": second.register, "quantity": one})
    for index, quantity in enumerate(profile.alarms):
        watched = profile.values.get(quantity)
        if watched is None or (watched.true is None and watched.type != "bit"):
            yield Mistake(("alarms", index), N_("is no quantity of 'values' that is true or false"), {})
    if given != ["values"]:
        return
    yield from _of_groups(profile)


def _of_value(profile: Profile, quantity: str, value: Value) -> Iterator[Mistake]:
    path = ("values", quantity)
    if not re.fullmatch(NAME, quantity):
        yield Mistake(path, N_("a quantity is made of lower-case letters, digits and '_'"), {})
    if quantity in QUANTITIES:
        unit = QUANTITIES[quantity].unit
        if value.unit not in (None, unit):
            text = N_("{quantity} is always in '{unit}': convert it with 'scale' and 'offset'")
            yield Mistake((*path, "unit"), text, {"quantity": quantity, "unit": unit})
    elif value.unit is None:
        close = get_close_matches(quantity, QUANTITIES, n=1)
        meant = close[0] if close else "voltage"
        text = N_("is no quantity that is known; did you mean '{meant}'? One of your own needs a 'unit'")
        yield Mistake(path, text, {"meant": meant})
    if (value.type == "bit") != (profile.function in OF_BITS):
        text = N_("functions 1 and 2 read bits, 3 and 4 read registers: 'type' and 'function' do not fit")
        yield Mistake((*path, "type"), text, {})
    if value.rails is not None and value.rails[0] >= value.rails[1]:
        yield Mistake((*path, "rails"), N_("must be the lowest and then the highest value"), {})
    if value.scale == 0:
        yield Mistake((*path, "scale"), N_("cannot be 0: every value would be the same"), {})


def _of_groups(profile: Profile) -> Iterator[Mistake]:
    for index, group in enumerate(profile.groups):
        if profile.function not in OF_BITS and group.count > MOST_REGISTERS:
            text = N_("a reply holds {most} registers at most")
            yield Mistake(("groups", index, "count"), text, {"most": MOST_REGISTERS})
        if profile.health is not None and profile.health.register not in group.registers:
            text = N_("must hold the register of 'health' too, or nobody knows whether its values are good")
            yield Mistake(("groups", index), text, {})
    for quantity, value in profile.values.items():
        whole = [group for group in profile.polls() if set(value.registers) <= set(group.registers)]
        if len(whole) != 1:
            text = N_("its registers stand in no group") if not whole else N_("its registers stand in two groups")
            yield Mistake(("values", quantity, "register"), text, {})
    if not profile.groups and any(group.count > MOST_REGISTERS for group in profile.polls()):
        yield Mistake(("values",), N_("a run of registers is too long for one reply: give 'groups'"), {})
    if profile.health is not None and not profile.groups and len(profile.polls()) > 1:
        yield Mistake(("health",), N_("needs 'groups', each of which holds its register"), {})
