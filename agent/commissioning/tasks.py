"""What a technician is to do at each device, and what has to come of it.

The agent makes the tasks, of its drivers and settings; they pass the control socket as JSON, and whoever walks through
the cabinet takes them up again. Texts are English on the way, and are shown in the technician's language.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from drivers import trials
from drivers.contract import BusOutputDriver, OutputDriver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.sampler.pipeline import Pipeline
    from drivers.contract import Trial

LIVE_WITHIN = 30.0  # seconds, and three rounds of a slow device
SWITCHED_FOR = 1.0  # seconds
SWITCHED_WITHIN = 15.0  # seconds in which its state has to say so


class Kind(StrEnum):
    """How a device shows that it works."""

    MOVES = "moves"  # something is done to it, and a quantity follows
    SWITCHES = "switches"  # it is switched on for a moment, and somebody looks or listens
    LIVES = "lives"  # it cannot be provoked: its values come, and somebody finds them plausible


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be done at one device. `plausible` are lowest and highest values by quantity, before calibration."""

    device: str
    title: str  # maker and model
    driver: str
    kind: Kind
    text: str = ""  # what to do
    quantity: str = ""
    by: float = 0.0
    within: float
    label: Mapping[str, str] = field(default_factory=dict)  # by language
    before: Mapping[str, Any] = field(default_factory=dict)  # the values that there are already, by quantity
    plausible: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def taken_up(fields: Mapping[str, Any]) -> Task:
    """Return a task that came as JSON; raises KeyError, TypeError and ValueError if it is of another version."""
    plausible = {name: (low, high) for name, (low, high) in fields["plausible"].items()}
    return Task(**{**fields, "kind": Kind(fields["kind"]), "plausible": plausible})


def of(pipeline: Pipeline) -> dict[str, Any]:
    """Return the task at one device, ready for JSON: the fields of `Task`."""
    device = pipeline.device
    driver = device.driver
    task: dict[str, Any] = {
        "device": device.id,
        "title": driver.title,
        "driver": driver.name,
        "label": {} if device.label is None else {"en": device.label.en, "th": device.label.th},
        "before": {
            name: latest.measurement.value
            for name, latest in pipeline.latest.items()
            if latest.measurement.value is not None
        },
        "plausible": {
            name: sorted((limit - rules.offset) / rules.scale for limit in rules.plausible)
            for name, rules in device.rules.items()
            if rules.plausible is not None
        },
    }
    if isinstance(driver, OutputDriver | BusOutputDriver):
        return task | {"kind": Kind.SWITCHES, "quantity": "on", "within": SWITCHED_WITHIN}
    trial = _trial(pipeline)
    if trial is None:
        return task | {"kind": Kind.LIVES, "within": max(LIVE_WITHIN, 3 * (device.every or 0.0))}
    return task | {"kind": Kind.MOVES, **trial._asdict()}


def _trial(pipeline: Pipeline) -> Trial | None:
    driver, settings = pipeline.device.driver, pipeline.device.settings
    if driver.trial is not None:
        return driver.trial(settings)
    # A driver of a whole family names what any of them may measure: what this one has said counts, if it ever speaks.
    return trials.by_quantity(driver.quantities(settings) if driver.event else pipeline.latest)
