"""Functions that users pass in: what they raise, and what they should not have returned, named by the row."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

from finetune_kit.errors import ParameterError
from finetune_kit.records import ChatExample, CompletionExample, Example, PreferenceExample

ResultT = TypeVar("ResultT")

_SHOWN_LENGTH = 200


def called(
    function: Callable[[Any], ResultT], example: Example, *, name: str, where: object, parameter: str
) -> ResultT:
    """What the function makes of one example; `ParameterError` that names the row where it raises."""
    try:
        return function(example)
    except Exception as error:  # anybody's code: whatever it raises is told with the row, and chained
        reason = traceback.format_exception_only(error)[-1].strip()
        shown = reason if len(reason) <= _SHOWN_LENGTH else f"{reason[:_SHOWN_LENGTH]}…"
        raise ParameterError(
            f"{where}: {name} raised {shown}. Correct it, or take such rows out by filter first.",
            parameter=parameter,
        ) from error


def as_example(result: object, *, name: str, where: object, parameter: str) -> Example:
    """The result, if it is an example; the types promise it, but most people run no type checker."""
    if isinstance(result, CompletionExample | ChatExample | PreferenceExample):
        return result
    raise ParameterError(
        f"{where}: {name} returned {_what(result)}. Return an example, such as dataclasses.replace(example, ...).",
        parameter=parameter,
    )


def as_truth(result: object, *, name: str, where: object, parameter: str) -> bool:
    """The result, if it is True or False, NumPy's included."""
    if isinstance(result, bool):
        return result
    if type(result).__name__ in ("bool", "bool_"):
        return bool(result)
    raise ParameterError(
        f"{where}: {name} returned {_what(result)}. Return True for a row that stays and False for one "
        "that goes, by bool(...) for example.",
        parameter=parameter,
    )


def name_of(function: object) -> str:
    """The function's name in a message."""
    name = getattr(function, "__name__", type(function).__name__)
    return "the function" if name == "<lambda>" else f"{name}()"


def only_kind(function: Callable[..., object]) -> type[Example] | None:
    """The kind of example that the function's first parameter is annotated with; None where it is open."""
    try:
        hints = get_type_hints(function)
        first = next(iter(inspect.signature(function).parameters), None)
    except (NameError, TypeError, ValueError):  # names under TYPE_CHECKING, or a callable that cannot be inspected
        return None
    annotated = hints.get(first) if first is not None else None
    return annotated if annotated in (CompletionExample, ChatExample, PreferenceExample) else None


def _what(result: object) -> str:
    return "nothing" if result is None else f"{type(result).__name__}"
