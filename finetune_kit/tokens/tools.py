"""Descriptions of tools as the text that is counted, after OpenAI's published way to count them."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_kit.records import JsonValue
from finetune_kit.tokens.span import Span, as_text

# From OpenAI's cookbook; what is said there of parameters is applied to parameters inside parameters too.
_PARAMETERS, _PARAMETER = 3, 3
_CHOICES, _CHOICE = -3, 3
_END = 12
_DEEPEST = 20
"""Levels of parameters inside parameters; what lies deeper is counted as JSON."""


def tool_spans(tools: JsonValue, where: str, *, around: int) -> Iterator[Span]:
    """Names, descriptions and parameters of `tools` or the older `functions`; anything else is counted as JSON."""
    if not isinstance(tools, list):
        if tools is not None:
            yield Span(as_text(tools), "context", where)
        return
    for number, tool in enumerate(tools):
        place = f"{where}[{number}]"
        function = tool.get("function", tool) if isinstance(tool, dict) else tool
        if not isinstance(function, dict):
            yield Span(as_text(function), "context", place, around)
            continue
        told = f"{as_text(function.get('name'))}:{as_text(function.get('description')).removesuffix('.')}"
        yield Span(told, "context", place, around)
        yield from _parameters(function.get("parameters"), f"{place}.parameters", _DEEPEST)
    if tools:
        yield Span("", "special", where, _END)


def _parameters(schema: JsonValue, where: str, levels: int) -> Iterator[Span]:
    if not isinstance(schema, dict):
        if schema is not None:
            yield Span(as_text(schema), "context", where)
        return
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return
    if not levels:
        yield Span(as_text(properties), "context", where)
        return
    yield Span("", "special", where, _PARAMETERS)
    for key, value in properties.items():
        place = f"{where}.{key}"
        told: dict[str, JsonValue] = value if isinstance(value, dict) else {"description": value}
        line = f"{key}:{as_text(told.get('type'))}:{as_text(told.get('description')).removesuffix('.')}"
        yield Span(line, "context", place, _PARAMETER)
        choices = told.get("enum")
        if isinstance(choices, list):
            yield Span("", "special", place, _CHOICES)
            yield from (Span(as_text(choice), "context", place, _CHOICE) for choice in choices)
        yield from _parameters(told, place, levels - 1)
        yield from _parameters(told.get("items"), place, levels - 1)
