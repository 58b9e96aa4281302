"""The door of each old call: what is not one of its arguments is refused, and every error has its old name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import ParamSpec, TypeVar

from finetune_kit._quoting import quoted
from finetune_kit.legacy.error import InvalidRequestError, old_names
from finetune_kit.legacy.settings import Transport

P = ParamSpec("P")
T = TypeVar("T")


def old_call(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function the call that a script knows as `name`, such as `FineTune.create`."""

    def decorated(call: Callable[P, T]) -> Callable[P, T]:
        takes = _with_transport(signature(call))

        @wraps(call)
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            with old_names():
                _check(name, takes, args, kwargs)
                return call(*args, **kwargs)

        return checked

    return decorated


def _with_transport(takes: Signature) -> Signature:
    """The arguments by their names, those of `Transport` too, which every call takes besides."""
    own = [one for one in takes.parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
    more = [Parameter(one, Parameter.KEYWORD_ONLY, default=None) for one in Transport.__annotations__]
    return takes.replace(parameters=[*own, *more])


def _check(name: str, takes: Signature, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    for given in kwargs:
        if given not in takes.parameters:
            near = get_close_matches(given, takes.parameters, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            own = ", ".join(one for one in takes.parameters if one not in Transport.__annotations__)
            raise InvalidRequestError(
                f"Unrecognized request argument supplied: {quoted(given)}.{hint} {name} takes {own or 'none'}.",
                param=given,
            )
    try:
        takes.bind(*args, **kwargs)
    except TypeError as error:
        missing = [
            one.name
            for one in list(takes.parameters.values())[len(args) :]
            if one.default is Parameter.empty and one.name not in kwargs
        ]
        raise InvalidRequestError(f"{name}: {error}.", param=missing[0] if missing else None) from error
