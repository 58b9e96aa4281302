"""The JSON Schema of a function's parameters."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_kit._quoting import described, quoted
from finetune_kit.records import JsonValue
from finetune_kit.validators.chat_turns import Fault
from finetune_kit.validators.issue import Severity

_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
# What other languages call them.
_MEANT = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "dict": "object",
    "map": "object",
    "none": "null",
}
_SCHEMA = 'Write a JSON Schema, such as {"type": "object", "properties": {"city": {"type": "string"}}}.'


def schema_faults(parameters: JsonValue, field: str) -> list[Fault]:
    """What is wrong with a function's `parameters`, at `field`."""
    if isinstance(parameters, str) and parameters.lstrip().startswith("{"):
        return [Fault("the parameters are JSON written as text", field, "Write the object itself, without quotes.")]
    if not isinstance(parameters, dict):
        return [Fault(f"the parameters are {described(parameters)}, not an object", field, _SCHEMA)]
    found: list[Fault] = []
    outermost = parameters.get("type")
    if parameters and outermost is None:
        message = "the parameters have no type"
        found.append(Fault(message, f"{field}.type", 'Add "type": "object".', Severity.WARNING))
    elif isinstance(outermost, str) and outermost in _TYPES and outermost != "object":
        message = f"the parameters are of type {outermost}, not object"
        found.append(Fault(message, f"{field}.type", "A function takes its arguments by name: " + _SCHEMA))
    waiting: list[tuple[str, JsonValue]] = [(field, parameters)]
    while waiting:  # not by recursion: data may be nested as deeply as it likes
        where, schema = waiting.pop()
        if isinstance(schema, dict):
            found += _faults_of(schema, where)
            waiting += _inner(schema, where)
        elif not isinstance(schema, bool):
            found.append(Fault(f"a schema is {described(schema)}, not an object", where, _SCHEMA))
    return found


def _faults_of(schema: dict[str, JsonValue], field: str) -> Iterator[Fault]:
    """Of one level."""
    kinds = schema.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind is not None and kind not in _TYPES:
            yield _unknown_type(kind, f"{field}.type")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        yield Fault(f"the properties are {described(properties)}, not an object", f"{field}.properties", _SCHEMA)
        properties = {}
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        hint = "Write a list of the names of the properties that must be there."
        yield Fault("required is not a list of names", f"{field}.required", hint)
    elif missing := [name for name in required if name not in properties]:
        message = f"required names {quoted(str(missing[0]))}, which is not among the properties"
        yield Fault(message, f"{field}.required", "Add it to the properties, or leave it out.", Severity.WARNING)
    if kinds == "array" and "items" not in schema:
        hint = 'Add "items": {"type": …}; OpenAI refuses calls of such a function.'
        yield Fault("an array does not say what its items are", field, hint, Severity.WARNING)
    options = schema.get("enum")
    if "enum" in schema and not (isinstance(options, list) and options):
        yield Fault("enum is not a list of values", f"{field}.enum", "List the values, or leave it out.")


def _unknown_type(kind: JsonValue, field: str) -> Fault:
    if not isinstance(kind, str):
        return Fault(f"a type is {described(kind)}", field, f"The types are {', '.join(_TYPES)}.")
    meant = _MEANT.get(kind.lower(), kind.lower())
    hint = f"Write {meant}." if meant in _TYPES else f"The types are {', '.join(_TYPES)}."
    return Fault(f"{quoted(kind)} is not a type of JSON Schema", field, hint)


def _inner(schema: dict[str, JsonValue], field: str) -> Iterator[tuple[str, JsonValue]]:
    for key in ("properties", "$defs", "definitions"):
        named = schema.get(key)
        if isinstance(named, dict):
            yield from ((f"{field}.{key}.{quoted(name)[1:-1]}", inner) for name, inner in named.items())
    for key in ("anyOf", "oneOf", "allOf"):
        several = schema.get(key)
        if isinstance(several, list):
            yield from ((f"{field}.{key}[{place}]", inner) for place, inner in enumerate(several))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield f"{field}.{key}", schema[key]
