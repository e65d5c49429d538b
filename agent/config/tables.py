"""One table of the text becomes one frozen dataclass, through pydantic.

The dataclasses (the agent's own and each driver's settings) know nothing of pydantic: a model is made of their fields,
which also writes the JSON Schema. A number whose Help has the unit "s" may be written as a duration, one in "bytes" as
a size.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args

import annotated_types
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from agent.config import units
from agent.config.hints import Hint, help_of, hints, is_table, origin, split
from agent.config.model import Len, WrongError
from agent.config.wording import sentence
from agent.i18n import _
from drivers.contract import Help, Interval, SerialLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.locate import KeyPath
    from agent.config.problems import Problems

T = TypeVar("T")

_PREFIX = "field_"  # a setting may have the name of something that pydantic's models have, such as `json`


def read(
    cls: Callable[..., T], table: Mapping[str, Any], path: KeyPath, problems: Problems, **given: object
) -> T | None:
    """Make a dataclass of a table that stands at `path`; None if anything was wrong, which is then among the problems.

    `given` are fields that do not stand in the table itself, such as an id that is the table's name.
    """
    model = mirror(cls, frozenset(given))
    try:
        # As JSON, because strict JSON takes a list for a tuple and a text for an enumeration, as TOML means them.
        values = model.model_validate_json(json.dumps(table))
    except ValidationError as error:
        for details in error.errors(include_url=False):
            where = _in_table(table, details["loc"], missing=details["type"] == "missing")
            cause = details.get("ctx", {}).get("error")
            if isinstance(cause, WrongError) and cause.key:
                where = (*where, cause.key)
            problems.add((*path, *where), sentence(details, table, path, where, cls))
        return None
    try:
        return cls(**_given(values), **given)
    except ValueError as error:
        blamed, text = _blamed(error, cls)
        problems.add((*path, *blamed), text)
        return None


def _blamed(error: ValueError, cls: Hint) -> tuple[KeyPath, str]:
    """Return the key that a dataclass blames, and the rest: a driver's settings say `pattern: not a regular ...`."""
    if isinstance(error, WrongError):
        return ((error.key,) if error.key else ()), str(error)
    key, colon, rest = str(error).partition(": ")
    return ((key,), rest) if colon and key in hints(cls) else ((), str(error))


def mirror(cls: Hint, leave_out: frozenset[str] = frozenset()) -> type[BaseModel]:
    """Return the pydantic model of a dataclass."""
    return _model(cls, leave_out)


@cache
def _model(cls: Hint, leave_out: frozenset[str]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        _PREFIX + each.name: (_mirrored(hints(cls)[each.name]), _default(each))
        for each in dataclasses.fields(cls)
        if each.init and each.name not in leave_out
    }
    config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)
    return create_model(cls.__name__, __config__=config, __doc__=cls.__doc__, **fields)


def _default(each: dataclasses.Field[Any]) -> Any:  # noqa: ANN401 - what pydantic's Field returns
    if each.default_factory is not dataclasses.MISSING:
        return Field(default_factory=each.default_factory, alias=each.name)
    return Field(... if each.default is dataclasses.MISSING else each.default, alias=each.name)


def _mirrored(hint: Hint) -> Hint:
    plain, metadata = split(hint)
    help_ = help_of(hint)
    limits = [_limit(each) for each in metadata if not isinstance(each, Help)]
    extra: list[Any] = [Field(description=_(help_.text))] if help_.text else []
    if plain is SerialLine:
        schema = {"type": "string", "pattern": units.LINE_PATTERN}
        plain, extra = Any, [PlainValidator(_text(units.serial_line)), WithJsonSchema(schema), *extra]
    elif is_table(plain):
        plain, extra = mirror(plain), [AfterValidator(partial(_made, plain)), *extra]
    elif plain is float and help_.unit == "s":
        extra = [BeforeValidator(_written(units.seconds), json_schema_input_type=_or(plain, limits, _DURATION)), *extra]
    elif plain is int and help_.unit == "bytes":
        extra = [BeforeValidator(_written(units.size), json_schema_input_type=_or(plain, limits, _SIZE)), *extra]
    elif arguments := get_args(plain):
        container = origin(plain)
        if container in {tuple, list, dict, Mapping}:
            plain = container[tuple(each if each is Ellipsis else _mirrored(each) for each in arguments)]
    return Annotated[(plain, *limits, *extra)] if limits or extra else plain


_DURATION = Annotated[str, Field(pattern=units.DURATION_PATTERN)]
_SIZE = Annotated[str, Field(pattern=units.SIZE_PATTERN)]


def _limit(limit: object) -> object:
    """Return a limit as pydantic knows it."""
    if isinstance(limit, Len):
        return annotated_types.Len(limit.least)
    return annotated_types.Interval(**limit._asdict()) if isinstance(limit, Interval) else limit


def _or(plain: Hint, limits: list[Any], text: Hint) -> Hint:
    return Union[Annotated[(plain, *limits)] if limits else plain, text]  # noqa: UP007 - made of values


def _written(parse: Callable[[str], float]) -> Callable[[object], object]:
    """Return a validator that parses a text and leaves any other value to those behind it."""
    return lambda value: parse(value) if isinstance(value, str) else value


def _text(parse: Callable[[str], Any]) -> Callable[[object], Any]:
    """Return a validator that parses a text and takes nothing else."""
    return lambda value: parse(value if isinstance(value, str) else "")


def _given(values: BaseModel) -> dict[str, Any]:
    return {name.removeprefix(_PREFIX): getattr(values, name) for name in values.model_fields_set}


def _made(cls: Callable[..., T], values: BaseModel) -> T:
    return cls(**_given(values))


def _in_table(table: object, location: tuple[str | int, ...], *, missing: bool) -> KeyPath:
    """Return the part of pydantic's location that exists in the text; the rest names branches of a union."""
    path: KeyPath = ()
    node: Any = table
    for position, part in enumerate(location, 1):
        if part in (node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()):
            node = node[part]
        elif not (missing and isinstance(node, dict) and position == len(location)):
            continue
        path = (*path, part)
    return path
