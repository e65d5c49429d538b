"""Reads the type hints of settings: `Annotated[int, Interval(ge=1, le=247), Help(N_("..."))]`."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from drivers.contract import Help

Hint: TypeAlias = Any  # whatever may stand behind the colon of a field: a class, a union, an Annotated


def hints(cls: Hint) -> Mapping[str, Hint]:
    """Return the hints of a dataclass's fields, with what they are annotated with."""
    return _hints(cls)


@cache
def _hints(cls: Hint) -> Mapping[str, Hint]:
    found = get_type_hints(cls, include_extras=True)
    return {each.name: found[each.name] for each in dataclasses.fields(cls) if each.init}


def split(hint: Hint) -> tuple[Hint, tuple[Any, ...]]:
    """Return the plain type of a hint and all its metadata; `X | None` is X, because TOML has no null."""
    metadata: tuple[Any, ...] = ()
    while True:
        if origin(hint) is Annotated:
            metadata = (*hint.__metadata__, *metadata)
            hint = hint.__origin__
        elif origin(hint) in {Union, types.UnionType} and type(None) in get_args(hint):
            rest = tuple(each for each in get_args(hint) if each is not type(None))
            hint = Union[rest]  # noqa: UP007 - made of a tuple
        else:
            return hint, metadata


def origin(hint: Hint) -> Hint:
    """Return what a generic type was made of, such as `tuple` of `tuple[int, ...]`; None if it is not one."""
    return get_origin(hint)


def help_of(hint: Hint) -> Help:
    """Return the help that stands beside a hint."""
    return next((each for each in split(hint)[1] if isinstance(each, Help)), Help(""))


def is_table(hint: Hint) -> bool:
    """Return whether a hint is a dataclass."""
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def at(cls: Hint, path: tuple[str | int, ...]) -> Hint:
    """Return the hint that a value at a path within a dataclass has; None if there is none."""
    hint = cls
    for part in path:
        plain = split(hint)[0]
        arguments = get_args(plain)
        if is_table(plain):
            hint = hints(plain).get(str(part))
        elif origin(plain) in {Mapping, dict} and len(arguments) > 1:
            hint = arguments[1]
        elif origin(plain) in {tuple, list} and isinstance(part, int) and arguments:
            hint = arguments[min(part, len(arguments) - 1)] if Ellipsis not in arguments else arguments[0]
        else:
            return None
    return hint


def example(cls: Hint) -> object | None:
    """Return settings with their defaults and the lowest legal value of what is required; None if there are none such.

    Good for asking a driver what it measures, where nobody has configured it yet.
    """
    values: dict[str, Any] = {}
    for each in dataclasses.fields(cls):
        if each.init and each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            values[each.name] = least(hints(cls)[each.name])
    try:
        settings: object = cls(**values)
    except ValueError:
        return None
    return settings


def least(hint: Hint) -> object:
    """Return the lowest or first value that a hint allows."""
    plain, metadata = split(hint)
    if plain is date:
        return date(2000, 1, 1)
    limit = next((limit for item in metadata if (limit := getattr(item, "ge", None)) is not None), 1)
    value: object = get_args(plain)[0] if get_args(plain) else plain(limit)
    return value
