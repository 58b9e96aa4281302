"""The arguments of a call, which are JSON inside a text."""

from __future__ import annotations

import json

import orjson

from finetune_kit._quoting import described
from finetune_kit.records import JsonValue
from finetune_kit.validators.chat_turns import Fault
from finetune_kit.validators.issue import Severity

_AS_TEXT = r'Write the JSON of an object as text, such as "{\"city\": \"Oslo\"}".'


def argument_faults(arguments: JsonValue, field: str) -> list[Fault]:
    """What is wrong with a call's `arguments`, at `field`."""
    if not isinstance(arguments, str):
        return [Fault(f"the arguments are {described(arguments)}, not text", field, _AS_TEXT)]
    if not arguments.strip():
        return [Fault("the arguments are empty", field, 'Write "{}" where there are none.')]
    try:
        value = _parsed(arguments)
    except ValueError:
        return [Fault("the arguments are not valid JSON", field, _AS_TEXT)]
    if isinstance(value, dict):
        return []
    if isinstance(value, str) and value.lstrip().startswith("{"):
        # OpenAI has trained on such rows, so it is no error.
        hint = "Encode them once: programs that call the model parse the arguments once."
        return [Fault("the arguments are JSON inside JSON", field, hint, Severity.WARNING)]
    return [Fault(f"the arguments are {described(value)} as JSON, not an object", field, _AS_TEXT)]


def _parsed(text: str) -> object:
    try:
        return orjson.loads(text)
    except ValueError:
        pass
    try:  # half of a surrogate pair, which orjson refuses and most parsers take
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
