"""The parameters of a function are a JSON Schema of an object."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from finetune_kit.validators.tool_schemas import schema_faults
from tests.chats_of import JSON


def faults(parameters: Any) -> list[tuple[str, str, str]]:
    return [(str(fault.severity), fault.field, fault.message) for fault in schema_faults(parameters, "p")]


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ('{"type": "object"}', ("error", "p", "the parameters are JSON written as text")),
        ([], ("error", "p", "the parameters are a list, not an object")),
        ({"type": "array", "items": {}}, ("error", "p.type", "the parameters are of type array, not object")),
        ({"properties": {}}, ("warning", "p.type", "the parameters have no type")),
        ({"type": "dict"}, ("error", "p.type", "'dict' is not a type of JSON Schema")),
        ({"type": "object", "properties": []}, ("error", "p.properties", "the properties are a list, not an object")),
        (
            {"type": "object", "properties": {"n": {"type": "int"}}},
            ("error", "p.properties.n.type", "'int' is not a type of JSON Schema"),
        ),
        (
            {"type": "object", "properties": {"n": "string"}},
            ("error", "p.properties.n", "a schema is text, not an object"),
        ),
        ({"type": "object", "required": "n"}, ("error", "p.required", "required is not a list of names")),
        (
            {"type": "object", "properties": {}, "required": ["n"]},
            ("warning", "p.required", "required names 'n', which is not among the properties"),
        ),
        (
            {"type": "object", "properties": {"n": {"type": "array"}}},
            ("warning", "p.properties.n", "an array does not say what its items are"),
        ),
        (
            {"type": "object", "properties": {"n": {"anyOf": [{"enum": []}]}}},
            ("error", "p.properties.n.anyOf[0].enum", "enum is not a list of values"),
        ),
    ],
)
def test_each_fault_is_named_at_its_place(parameters: Any, fault: tuple[str, str, str]) -> None:
    assert faults(parameters) == [fault]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"type": "object"},
        {
            "type": "object",
            "properties": {
                "city": {"type": ["string", "null"], "enum": ["Oslo", None]},
                "days": {"type": "array", "items": {"type": "integer"}},
                "more": {"$ref": "#/$defs/more"},
                "any": True,
            },
            "$defs": {"more": {"type": "object", "additionalProperties": False}},
            "required": ["city"],
            "additionalProperties": False,
        },
    ],
)
def test_sound_schemas_have_no_faults(parameters: Any) -> None:
    assert faults(parameters) == []


@pytest.mark.parametrize(
    ("given_type", "hint"), [("int", "Write integer."), ("String", "Write string."), ("Dict", "Write object.")]
)
def test_the_names_of_other_languages_are_translated(given_type: str, hint: str) -> None:
    (fault,) = schema_faults({"type": "object", "properties": {"x": {"type": given_type}}}, "p")
    assert fault.hint == hint


@given(JSON)
def test_nothing_raises(parameters: Any) -> None:
    assert all(fault.field.startswith("p") for fault in schema_faults(parameters, "p"))
    schema_faults({"type": parameters, "properties": {"x": parameters}, "required": parameters}, "p")
