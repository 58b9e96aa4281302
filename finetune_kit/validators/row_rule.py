"""A plain function as a rule."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from finetune_kit._user_code import only_kind
from finetune_kit.records import Example
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity

ExampleT = TypeVar("ExampleT", bound=Example)


@dataclass(frozen=True, slots=True)
class RowRule(Generic[ExampleT]):
    """A `Validator` around a function of one example; called like a function it still is that function."""

    code: str
    function: Callable[[ExampleT], str | None]
    severity: Severity
    hint: str
    kind: type[Example] | None
    """The only kind of example that the function takes, by its annotation; None for every kind."""

    def __call__(self, example: ExampleT) -> str | None:
        return self.function(example)

    def __reduce__(self) -> tuple[Any, ...]:
        # The decorated function's name means the rule, so a pickle cannot find the function by it.
        module, name = getattr(self.function, "__module__", None), getattr(self.function, "__qualname__", None)
        if module and name and _at(module, name) is self:
            return _at, (module, name)
        return RowRule, (self.code, self.function, self.severity, self.hint, self.kind)

    def check(self, batch: Batch) -> Iterable[Issue]:
        """The function's findings, one row at a time."""
        if self.kind is not None and self.kind.kind != batch.kind:
            return ()
        messages: list[object] = list(map(cast("Callable[[Example], object]", self.function), batch.examples))
        if messages.count(None) == len(messages):
            return ()
        return [self._issue(message, row) for row, message in enumerate(messages, batch.start) if message is not None]

    def _issue(self, message: object, row: int) -> Issue:
        if not isinstance(message, str):
            raise TypeError(f"a rule returns None or a message, not {type(message).__name__}")
        return Issue(self.code, self.severity, message, row=row, hint=self.hint)


def row_validator(
    code: str, *, severity: Severity = Severity.ERROR, hint: str = ""
) -> Callable[[Callable[[ExampleT], str | None]], RowRule[ExampleT]]:
    """Make a rule of a function that returns a message for a bad example, and None for a good one.

    A function whose parameter is annotated `CompletionExample`, `ChatExample` or `PreferenceExample` sees only those.

        @row_validator("no_links")
        def no_links(example: CompletionExample) -> str | None:
            return "the completion holds a link" if "http" in example.completion else None
    """

    def decorate(function: Callable[[ExampleT], str | None]) -> RowRule[ExampleT]:
        return RowRule(code, function, severity, hint, only_kind(function))

    return decorate


def _at(module: str, name: str) -> object:
    """What a module calls by that name; None where there is no such thing."""
    found: object = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
