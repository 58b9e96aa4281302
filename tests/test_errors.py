"""Every error of the tree keeps its promises: it pickles, it has a standard cousin, it is drawn."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable, Mapping

import pytest

from finetune_kit import errors
from finetune_kit.errors import Detached, FinetuneKitError, ShutdownWarning

ERRORS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == errors.__name__
]
BRANCHES = [error for error in ERRORS if error not in (FinetuneKitError, Detached, ShutdownWarning)]

SAMPLES: Mapping[str, object] = {
    "path": "support.csv",
    "row": 41,
    "code": "wrong_type",
    "hint": "Fill it",
    "column": 7,
    "needed_bytes": 9_000_000_000,
    "free_bytes": 8_000_000_000,
    "report": ("any", "object"),
    "parameter": "n_epochs",
    "package": "torch",
    "extra": "local",
    "retryable": True,
    "model": "davinci",
    "known": ("smollm2-135m",),
    "job_id": "ftjob-1",
    "size_bytes": 700,
    "max_bytes": 512,
    "rows_that_fit": 3,
    "file_id": "file-1",
    "retry_after_seconds": 300.0,
    "status": 503,
    "sent": False,
    "budget": 20.0,
    "estimate": ("any", "object"),
}
"""A value for each field that an error has; a new field needs one here."""

COPIES: list[Callable[[BaseException], BaseException]] = [
    copy.copy,
    copy.deepcopy,
    *(
        lambda error, p=protocol: pickle.loads(pickle.dumps(error, p))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ),
]


def fields_of(kind: type[BaseException]) -> dict[str, object]:
    """A sample for each keyword argument of `kind`."""
    parameters = inspect.signature(kind).parameters.values()
    return {p.name: SAMPLES[p.name] for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def built(kind: type[BaseException]) -> BaseException:
    return kind("support.csv row 41: it is empty. Fill it.", **fields_of(kind))


def drawn() -> dict[str, str]:
    """Name to line of each class in the tree of the module's docstring."""
    lines = (errors.__doc__ or "").splitlines()
    named = ((re.match(r"[ │├└─]*([A-Z]\w+)\b", line), line) for line in lines if line.startswith("    "))
    return {match.group(1): line for match, line in named if match}


def parents_drawn() -> dict[str, str]:
    """Name to parent's name, read from the indentation of the drawing."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for name, line in drawn().items():
        depth = line.index(name)
        while above and above[-1][0] >= depth:
            above.pop()
        if above:
            parents[name] = above[-1][1]
        above.append((depth, name))
    return parents


@pytest.mark.parametrize("duplicate", COPIES)
@pytest.mark.parametrize("kind", ERRORS)
def test_error_survives_pickle_and_copy_with_its_fields(
    kind: type[BaseException], duplicate: Callable[[BaseException], BaseException]
) -> None:
    error = built(kind)
    again = duplicate(error)
    assert type(again) is kind
    assert str(again) == str(error) == "support.csv row 41: it is empty. Fill it."
    assert vars(again) == vars(error)
    assert {name: getattr(again, name) for name in fields_of(kind)} == fields_of(kind)


@pytest.mark.parametrize("kind", ERRORS)
def test_error_needs_only_a_message(kind: type[BaseException]) -> None:
    assert str(kind("what, where, what to do")) == "what, where, what to do"


@pytest.mark.parametrize("kind", BRANCHES)
def test_error_has_our_root_and_a_standard_cousin(kind: type[BaseException]) -> None:
    assert issubclass(kind, FinetuneKitError)
    cousins = [base for base in kind.__mro__ if base.__module__ == "builtins"]
    assert set(cousins) - {Exception, BaseException, object}


def test_detached_is_a_keyboard_interrupt_that_no_except_exception_swallows() -> None:
    assert issubclass(Detached, KeyboardInterrupt)
    assert not issubclass(Detached, Exception)


@pytest.mark.parametrize("kind", ERRORS)
def test_error_says_whether_to_try_again(kind: type[BaseException]) -> None:
    if issubclass(kind, FinetuneKitError):
        assert isinstance(kind("message").retryable, bool)


@pytest.mark.parametrize("kind", BRANCHES)
def test_error_is_drawn_under_its_parent(kind: type[BaseException]) -> None:
    parent = next(base for base in kind.__bases__ if base in ERRORS)
    assert parents_drawn()[kind.__name__] == parent.__name__


@pytest.mark.parametrize("kind", BRANCHES)
def test_standard_cousin_is_drawn(kind: type[BaseException]) -> None:
    cousins = [base.__name__ for base in kind.__bases__ if base.__module__ == "builtins"]
    match = re.search(rf"{kind.__name__} \((\w+)\)", drawn()[kind.__name__])
    assert ([match.group(1)] if match else []) == cousins


def test_nothing_is_drawn_that_is_not_there() -> None:
    assert drawn().keys() == {kind.__name__ for kind in ERRORS}


@pytest.mark.parametrize("kind", ERRORS)
def test_error_has_a_docstring_of_its_own(kind: type[BaseException]) -> None:
    assert kind.__dict__["__doc__"]
