"""What is wrong with values that were sent, in the words of the real host."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import JsonObject

_SAID = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array", dict: "an object"}


def text(body: Mapping[str, JsonValue], key: str, *, needed: bool = False) -> str | None:
    """A string, or None where it is absent or null."""
    value = body.get(key)
    if value is None:
        if needed:
            message = f"Missing required parameter: '{key}'."
            raise Refusal.invalid(message, param=key, code="missing_required_parameter")
        return None
    if not isinstance(value, str):
        raise wrong_type(key, "a string", value)
    return value


def needed_text(body: Mapping[str, JsonValue], key: str) -> str:
    """A string that must be there."""
    return text(body, key, needed=True) or ""


def one_of(value: str, allowed: Collection[str], *, param: str) -> str:
    """A word of a closed set."""
    if value not in allowed:
        message = f"'{value}' is not one of {sorted(allowed)} - '{param}'"
        raise Refusal.invalid(message, param=param, code="invalid_value")
    return value


def integer(value: JsonValue, *, param: str, least: int, most: int) -> int:
    """A whole number within its bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(param, "an integer", value)
    if value < least:
        raise _bound(param, "integer_below_min", f">= {least}", value)
    if value > most:
        raise _bound(param, "integer_above_max", f"<= {most}", value)
    return value


def number(value: JsonValue, *, param: str, above: float, most: float | None = None) -> float:
    """A number within its bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(param, "a decimal", value)
    if not value > above:
        raise _bound(param, "decimal_below_min", f"> {above:g}", value)
    if most is not None and value > most:
        raise _bound(param, "decimal_above_max", f"<= {most:g}", value)
    return float(value)


def mapping(value: JsonValue, *, param: str) -> JsonObject:
    """An object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(param, "an object", value)
    return value


def short(value: str, *, param: str, most: int, least: int = 0) -> str:
    """A string of so many characters at most."""
    if len(value) > most:
        message = (
            f"Invalid '{param}': string too long. Expected a string with maximum length {most}, but got a string with "
            f"length {len(value)} instead."
        )
        raise Refusal.invalid(message, param=param, code="string_above_max_length")
    if len(value) < least:
        message = f"Invalid '{param}': empty string. Expected a string with minimum length {least}."
        raise Refusal.invalid(message, param=param, code="string_below_min_length")
    return value


def metadata(value: JsonValue) -> dict[str, str] | None:
    """Sixteen pairs of short strings at most."""
    if value is None:
        return None
    pairs = mapping(value, param="metadata")
    if len(pairs) > 16:
        message = f"Invalid 'metadata': too many properties. Expected at most 16, but got {len(pairs)} instead."
        raise Refusal.invalid(message, param="metadata", code="object_above_max_properties")
    kept: dict[str, str] = {}
    for key, one in pairs.items():
        if not isinstance(one, str):
            raise wrong_type(f"metadata.{key}", "a string", one)
        kept[short(key, param="metadata", most=64)] = short(one, param=f"metadata.{key}", most=512)
    return kept


def wrong_type(param: str, expected: str, value: JsonValue) -> Refusal:
    """Something else than what belongs there."""
    got = "null" if value is None else _SAID[type(value)]
    message = f"Invalid type for '{param}': expected {expected}, but got {got} instead."
    return Refusal.invalid(message, param=param, code="invalid_type")


def _bound(param: str, code: str, expected: str, value: float) -> Refusal:
    where = code.replace("_", " ").replace("min", "minimum").replace("max", "maximum")
    message = f"Invalid '{param}': {where} value. Expected a value {expected}, but got {value} instead."
    return Refusal.invalid(message, param=param, code=f"{code}_value")
