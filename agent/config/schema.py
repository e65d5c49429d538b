"""The JSON Schema (2020-12) of the whole configuration, made of the same hints that read it.

It knows shapes and limits. What needs two keys at once (a pin used twice, an alarm cleared on the wrong side) only
`roadside check` knows.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from agent.config.devices import PORT_HELP, Common
from agent.config.hints import example
from agent.config.load import IDENTIFIER, LONGEST_IDENTIFIER
from agent.config.model import Clock, Commands, Gateway, Journal, Port, Rules, Uplink
from agent.config.tables import mirror
from agent.i18n import _
from drivers import registry
from drivers.contract import BusOutputDriver, Driver, OutputDriver, PacedDriver, SerialDriver
from drivers.quantities import QUANTITIES

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
QUANTITY = "^[a-z][a-z0-9_]*$"


def schema() -> Schema:
    """Return the schema."""
    models = {
        "Gateway": mirror(Gateway),
        "Uplink": mirror(Uplink, frozenset({"id"})),
        "Journal": mirror(Journal),
        "Clock": mirror(Clock),
        "Commands": mirror(Commands),
        "Port": mirror(Port),
        "Rules": mirror(Rules),
        "Common": mirror(Common),
    }
    _names, definitions = models_json_schema([(model, "validation") for model in models.values()])
    shared: Schema = definitions["$defs"]
    common = shared.pop("Common")
    drivers = [registry.load(name) for name in registry.names()]
    shared["Device"] = {
        "type": "object",
        "required": ["driver"],
        "properties": {"driver": {**common["properties"]["driver"], "enum": [driver.name for driver in drivers]}},
        "allOf": [
            {
                "if": {"properties": {"driver": {"const": driver.name}}, "required": ["driver"]},
                "then": _device(driver, common["properties"], shared),
            }
            for driver in drivers
        ],
    }
    whole = {
        "type": "object",
        "additionalProperties": False,
        "required": ["gateway", "uplinks"],
        "properties": {
            "gateway": {"$ref": "#/$defs/Gateway"},
            "uplinks": {**_named("Uplink"), "minProperties": 1},
            "journal": {"$ref": "#/$defs/Journal"},
            "clock": {"$ref": "#/$defs/Clock"},
            "commands": {"$ref": "#/$defs/Commands"},
            "ports": _named("Port"),
            "devices": _named("Device"),
        },
        "$defs": shared,
    }
    return {"$schema": DIALECT, "title": "gateway.toml", **_tidy(whole)}


def _named(definition: str) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^{IDENTIFIER}$", "maxLength": LONGEST_IDENTIFIER},
        "additionalProperties": {"$ref": f"#/$defs/{definition}"},
    }


def _device(driver: Driver, common: Schema, shared: Schema) -> Schema:
    """Return what a table with this driver may hold."""
    own = mirror(driver.settings).model_json_schema()
    shared.update(own.get("$defs", {}))
    keys = {**common, **own.get("properties", {})}
    required = [*own.get("required", [])]
    if not isinstance(driver, PacedDriver):
        keys.pop("every")
    if not isinstance(driver, OutputDriver | BusOutputDriver):
        keys.pop("sounds_for")
    if isinstance(driver, SerialDriver):
        port = {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/Port"}]}
        keys["port"] = {**port, "description": _(PORT_HELP)}
        required.append("port")
    settings = example(driver.settings)
    if settings is None:  # its settings say what it measures
        return {
            "required": required,
            "properties": keys,
            "additionalProperties": {"$ref": "#/$defs/Rules"},
            "propertyNames": {"pattern": QUANTITY},
        }
    rules = {quantity: {"$ref": "#/$defs/Rules"} for quantity in driver.quantities(settings)}
    # Which quantities there are may depend on the settings, so any known one passes.
    names = sorted({*keys, *rules, *QUANTITIES})
    return {
        "required": required,
        "properties": {**keys, **rules},
        "additionalProperties": {"$ref": "#/$defs/Rules"},
        "propertyNames": {"enum": names},
    }


def _tidy(node: Schema) -> Schema:
    """Leave away the titles that only repeat a key, and defaults that say "nothing"."""
    return {
        key: _tidied(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }


def _tidied(value: object) -> object:
    if isinstance(value, list):
        return [_tidied(each) for each in value]
    return _tidy(value) if isinstance(value, dict) else value
