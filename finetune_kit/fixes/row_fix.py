"""A plain function as a fix."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from finetune_kit._user_code import name_of, only_kind
from finetune_kit.records import Example

ExampleT = TypeVar("ExampleT", bound=Example)


@dataclass(frozen=True, slots=True)
class FunctionFix(Generic[ExampleT]):
    """A `RowFix` around a function of one example; called like a function it still is that function."""

    code: str
    function: Callable[[ExampleT], ExampleT | None]
    description: str
    kind: type[Example] | None
    """The only kind of example that the function takes, by its annotation; None for every kind."""
    safe: bool = False

    def __call__(self, example: ExampleT) -> ExampleT | None:
        return self.function(example)

    def mend(self, example: Example) -> Example | None:
        """What the function makes of it."""
        if self.kind is not None and not isinstance(example, self.kind):
            return example
        return self.function(cast("ExampleT", example))

    def __reduce__(self) -> tuple[Any, ...]:
        # The decorated function's name leads to this object, so that the function itself cannot be pickled by name.
        module, name = self.function.__module__, self.function.__qualname__
        if getattr(sys.modules.get(module), name, None) is self:
            return _found, (module, name)
        return type(self), (self.code, self.function, self.description, self.kind, self.safe)


def _found(module: str, name: str) -> object:
    __import__(module)
    return getattr(sys.modules[module], name)


def row_fix(
    code: str, *, description: str = ""
) -> Callable[[Callable[[ExampleT], ExampleT | None]], FunctionFix[ExampleT]]:
    """Make a fix of a function that gives an example as it should be, or None to drop it.

    A function whose parameter is annotated `CompletionExample`, `ChatExample` or `PreferenceExample` sees only those.

        @row_fix("no_links")
        def no_links(example: CompletionExample) -> CompletionExample | None:
            return None if "http" in example.completion else example
    """

    def decorate(function: Callable[[ExampleT], ExampleT | None]) -> FunctionFix[ExampleT]:
        return FunctionFix(code, function, description or f"apply {name_of(function)}", only_kind(function))

    return decorate
