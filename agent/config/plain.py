"""Sorts out what TOML can say and no setting can mean: times, numbers that are none, and endless nesting."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from agent.i18n import _

if TYPE_CHECKING:
    from agent.config.locate import KeyPath
    from agent.config.problems import Problems

DEEPEST = 16  # tables and lists within each other
LARGEST_NUMBER = 1 << 63


def plain(document: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """Return a document of tables, lists, texts, finite numbers and truth values; None stands for all else.

    A date becomes the text that it is written as.
    """
    return {key: _plain(value, (key,), problems) for key, value in document.items()}


def _plain(value: object, path: KeyPath, problems: Problems) -> object:
    if isinstance(value, dict | list) and len(path) > DEEPEST:
        problems.add(path, _("is nested too deeply"))
        return None
    if isinstance(value, dict):
        return {key: _plain(each, (*path, key), problems) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, (*path, index), problems) for index, each in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        problems.add(path, _("must be a number"))
        return None
    if isinstance(value, int) and not -LARGEST_NUMBER <= value < LARGEST_NUMBER:
        problems.add(path, _("is too large a number"))
        return None
    if isinstance(value, str) and "\0" in value:
        problems.add(path, _("holds a NUL character, which no path and no name can have"))
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str | bool | int | float):
        problems.add(path, _("is a time, and no key takes one; a text stands in quotes"))
        return None
    return value
