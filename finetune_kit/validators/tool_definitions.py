"""The tools that a row offers to the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import orjson

from finetune_kit._quoting import described, quoted
from finetune_kit.records import JsonValue
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import Conversation, Fault, conversations, is_given, row_field
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.tool_schemas import schema_faults

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOOL = 'A tool is {"type": "function", "function": {"name": …, "description": …, "parameters": {…}}}.'
_NAMING = "Use letters, digits, _ and -, 64 at most."
# Most files repeat the same tools in every row; beyond this size they are judged anew rather than kept.
_KEPT_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class ToolDefinitions:
    """`tools` is a list of functions, each with a name of its own and a JSON Schema of its parameters.

    The names' pattern and the most tools that one row may have are those of OpenAI's API reference.

    Bad:  `{"tools": [{"name": "get weather"}]}`
    Good: `{"tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
          "properties": {"city": {"type": "string"}}}}}]}`
    """

    most: int = 128

    code = "tool_definition"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each fault in a definition; a note where `functions` stands in place of `tools`."""
        return [
            fault.issue(self.code, row)
            for row, example, offer in batch.view(offers)
            if example.more
            for fault in self._judge(example, offer)
        ]

    def _judge(self, example: Conversation, offer: Offer) -> list[Fault]:
        found = list(offer.faults)
        for key in ("tools", "functions"):
            given = example.more.get(key)
            if isinstance(given, list) and len(given) > self.most:
                hint = "Give each row only those that it may need."
                found.append(Fault(f"there are more than {self.most} {key}", row_field(example, key), hint))
        if is_given(example.more.get("functions")):
            hint = "Write them as tools, which every host takes."
            message = "functions is the older form of tools"
            found.append(Fault(message, row_field(example, "functions"), hint, Severity.INFO))
        parallel = example.more.get("parallel_tool_calls")
        if parallel is not None and not isinstance(parallel, bool):
            message = f"parallel_tool_calls is {described(parallel)}, neither true nor false"
            field = row_field(example, "parallel_tool_calls")
            found.append(Fault(message, field, "Write true or false without quotes."))
        return found


class Offer(NamedTuple):
    """The tools of a row."""

    names: frozenset[str] | None
    """What they are called; None where the row offers none."""
    faults: tuple[Fault, ...]


_NO_OFFER = Offer(None, ())


def offers(batch: Batch) -> list[tuple[int, Conversation, Offer]]:
    """What each row offers that is special in any way; for `Batch.view`."""
    return [(row, example, _offer_of(example)) for row, example in batch.view(conversations).special]


def _offer_of(example: Conversation) -> Offer:
    offer = _NO_OFFER
    for key in ("tools", "functions"):
        given = example.more.get(key)
        if is_given(given):
            one = _judged(given, key, row_field(example, key))
            offer = Offer((offer.names or frozenset()) | (one.names or frozenset()), offer.faults + one.faults)
    return offer


def _judged(given: JsonValue, key: str, field: str) -> Offer:
    try:
        written = orjson.dumps(given)
    except TypeError:  # a whole number beyond 64 bits
        return _judge_anew(given, key, field)
    return _judge_anew(given, key, field) if len(written) > _KEPT_BYTES else _judge_once(written, key, field)


@lru_cache(maxsize=64)
def _judge_once(written: bytes, key: str, field: str) -> Offer:
    return _judge_anew(orjson.loads(written), key, field)


def _judge_anew(given: JsonValue, key: str, field: str) -> Offer:
    functions = [_function_of(tool, key) for tool in given] if isinstance(given, list) else []
    names = [function.get("name") for function in functions if isinstance(function, dict)]
    return Offer(frozenset(name for name in names if isinstance(name, str)), tuple(_judge_all(given, key, field)))


def _judge_all(given: JsonValue, key: str, field: str) -> Iterator[Fault]:
    if isinstance(given, str) and given.lstrip().startswith("["):
        yield Fault(f"the {key} are JSON written as text", field, "Write the list itself, without quotes.")
        return
    if not isinstance(given, list):
        yield Fault(f"the {key} are {described(given)}, not a list", field, _TOOL)
        return
    earlier: dict[str, JsonValue] = {}
    for place, tool in enumerate(given):
        where = f"{field}[{place}]"
        function, inside = _function_of(tool, key), where
        if key == "tools":
            inside = f"{where}.function"
            yield from _judge_wrapper(tool, where)
        elif not isinstance(function, dict):
            yield Fault(f"a function is {described(function)}, not an object", where, _TOOL)
        if isinstance(function, dict):
            yield from _judge_function(function, inside, earlier)


def _function_of(tool: JsonValue, key: str) -> JsonValue:
    if key == "functions":
        return tool
    return tool.get("function") if isinstance(tool, dict) else None


def _judge_wrapper(tool: JsonValue, field: str) -> Iterator[Fault]:
    if not isinstance(tool, dict):
        yield Fault(f"a tool is {described(tool)}, not an object", field, _TOOL)
        return
    kind, function = tool.get("type"), tool.get("function")
    if "function" not in tool and "name" in tool:
        yield Fault("the function's name stands in the tool itself, not in its function", field, _TOOL)
        return
    if kind != "function":
        what = "has no type" if "type" not in tool else f"is of type {_shown(kind)}"
        yield Fault(f"a tool {what}", f"{field}.type", f"Models are trained to call functions only. {_TOOL}")
    elif not isinstance(function, dict):
        yield Fault(f"a tool's function is {described(function)}, not an object", f"{field}.function", _TOOL)


def _shown(value: JsonValue) -> str:
    return quoted(value) if isinstance(value, str) else described(value)


def _judge_function(function: dict[str, JsonValue], field: str, earlier: dict[str, JsonValue]) -> Iterator[Fault]:
    name = function.get("name")
    if not isinstance(name, str):
        what = "has no name" if "name" not in function else f"is named by {described(name)}"
        yield Fault(f"a function {what}", f"{field}.name", _NAMING)
    elif not _NAME.fullmatch(name):
        yield Fault(f"{quoted(name)} cannot be the name of a function", f"{field}.name", _NAMING)
    elif name in earlier:
        hint = "Give each function a name of its own, or leave the later one out."
        same = earlier[name] == function
        severity = Severity.WARNING if same else Severity.ERROR
        message = "a function is defined twice" if same else "two functions have the same name"
        yield Fault(message, f"{field}.name", hint, severity)
    else:
        earlier[name] = function
    description = function.get("description")
    if description is not None and not isinstance(description, str):
        message = f"a function's description is {described(description)}, not text"
        yield Fault(message, f"{field}.description", "Say in a sentence what the function does.")
    if function.get("parameters") is not None:
        yield from schema_faults(function["parameters"], f"{field}.parameters")
