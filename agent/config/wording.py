"""What a technician reads when a value does not fit: our own sentences in place of pydantic's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from agent.config.hints import Hint, at, help_of, hints, is_table, origin, split
from agent.config.model import WrongError
from agent.config.problems import dotted, nearest, shown
from agent.i18n import _
from drivers.contract import N_, Help

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from agent.config.locate import KeyPath

NOT_A_TABLE = N_("must be a table of keys and values")
_LIST = N_("must be a list in square brackets")
_DATE = N_("must be a date such as 2026-05-01")

# pydantic's error types -> our sentence; what stands in braces comes from the error's context.
SENTENCES = {
    "string_type": N_("must be a text in quotes"),
    "int_type": N_("must be a whole number"),
    "int_from_float": N_("must be a whole number"),
    "float_type": N_("must be a number"),
    "bool_type": N_("must be true or false"),
    "greater_than": N_("must be more than {limit}"),
    "greater_than_equal": N_("must be {limit} or more"),
    "less_than": N_("must be less than {limit}"),
    "less_than_equal": N_("must be {limit} or less"),
    "multiple_of": N_("must be a multiple of {multiple_of}"),
    "string_pattern_mismatch": N_("must have the form {pattern}"),
    "dict_type": NOT_A_TABLE,
    "mapping_type": NOT_A_TABLE,
    "model_type": NOT_A_TABLE,
    "model_attributes_type": NOT_A_TABLE,
    "dataclass_type": NOT_A_TABLE,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_too_short": N_("is too short: {min_length} letters or more"),
    "string_too_long": N_("is too long: {max_length} letters or less"),
    "too_short": N_("is too short: {min_length} values or more"),
    "too_long": N_("is too long: {max_length} values or less"),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), _DATE),
}
_ANY_OTHER = N_("is not a value that can stand here")
_LIMITS = ("gt", "ge", "lt", "le")
LINE_FORM = 'line = "9600 8N1"'
_LINE_KEYS = {"line", "baud", "baudrate", "speed", "parity", "bits", "databits", "bytesize", "stop", "stopbits"}
_SECRETS = ("pass", "secret", "token", "psk", "private")


def sentence(details: ErrorDetails, table: Mapping[str, Any], within: KeyPath, path: KeyPath, cls: Hint) -> str:
    """Return what is wrong with the value at a path within a table, and what would be right.

    `cls` is the table's dataclass, `within` is where the table itself stands.
    """
    kind, context = details["type"], details.get("ctx", {})
    key, hint, value = str(path[-1]) if path else "", at(cls, path), _written(table, path)
    if kind == "missing" and origin(split(hint)[0]) is tuple and Ellipsis not in get_args(split(hint)[0]):
        return _("must be a list of {count} values").format(count=len(get_args(split(hint)[0])))
    if kind == "missing":
        help_text = help_of(hint).text
        return _("is missing: {help}").format(help=_(help_text)) if help_text else _("is missing")
    if kind == "extra_forbidden":
        around = split(at(cls, path[:-1]))[0]
        return unknown_key(key, hints(around) if is_table(around) else {})
    if kind == "value_error":
        rule = str(context["error"])
        if isinstance(context["error"], WrongError):
            return rule  # about a table, not about the one value
    elif kind in {"literal_error", "enum"}:
        return _choice(value, hint, secret=is_secret(key))
    else:
        rule = _form(kind, hint, value, (*within, *path))
        rule = rule or _(SENTENCES.get(kind, _ANY_OTHER)).format(limit=_limit(context, help_of(hint)), **context)
    if is_secret(key) or isinstance(value, dict | list):
        return rule
    return _("{rule}, not {value}").format(rule=rule, value=shown(value))


def _form(kind: str, hint: Hint, value: object, path: KeyPath) -> str:
    """Return the form that something of this hint has, if that says more than the kind of the error; "" if not."""
    plain = split(hint)[0]
    if kind == "float_type" and help_of(hint).unit == "s":
        return _("must be a duration such as '5 s', or a number of seconds")
    if SENTENCES.get(kind) == NOT_A_TABLE and is_table(plain):
        form = ", ".join(f'{each} = "..."' for each in hints(plain))
        return _("must be a table such as {form}").format(form=f"{{ {form} }}")
    if SENTENCES.get(kind) == _LIST and isinstance(value, dict) and any(map(is_table, get_args(plain))):
        return _("is a list of tables: write [[{key}]], with two brackets").format(key=dotted(path))
    return ""


def _written(table: Mapping[str, Any], path: KeyPath) -> object:
    """Return a value as it was written, which is not always what pydantic was given; None if there is none."""
    node: Any = table
    for part in path:
        if part not in (node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()):
            return None
        node = node[part]
    return node


def unknown_key(key: str, known: Mapping[str, Any]) -> str:
    """Return what to say of a key that does not exist among those that do."""
    if is_secret(key) and "password_file" in known:
        return _("a secret cannot stand in this file: put it into a file of its own and name that with {keys}").format(
            keys="password_file / password_credential"
        )
    if is_line_key(key) and {"path", "line"} <= known.keys():
        return _("is not a known key; write {form}").format(form=LINE_FORM)
    return _("is not a known key") + nearest(key, known)


def is_line_key(key: str) -> bool:
    """Return whether somebody who writes this key means the settings of a serial line."""
    return key.lower().replace("_", "").replace("-", "") in _LINE_KEYS


def is_secret(key: str) -> bool:
    """Return whether the value of a key may be a secret and is never shown, whatever is wrong with it."""
    return any(word in key.lower() for word in _SECRETS)


def _choice(value: object, hint: Hint, *, secret: bool) -> str:
    plain = split(hint)[0]
    choices = [str(each) for each in get_args(plain) or plain]
    if secret or not isinstance(value, str):
        return _("must be one of {names}").format(names=", ".join(map(shown, choices)))
    return _("{value} is not one of {names}").format(
        value=shown(value), names=", ".join(map(shown, choices))
    ) + nearest(value, choices, or_list=False)


def _limit(context: Mapping[str, Any], help_: Help) -> str:
    limit = next((context[key] for key in _LIMITS if key in context), None)
    if limit is None:
        return ""
    return quantity(limit, help_.unit)


def quantity(value: float, unit: str) -> str:
    """Return a number with its unit, the way it may be written in the configuration."""
    if unit == "bytes":
        for name, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value > 0 and value % factor == 0:
                return f"{value // factor} {name}"
        return f"{value} B"
    return f"{value:.15g} {unit}".rstrip()
