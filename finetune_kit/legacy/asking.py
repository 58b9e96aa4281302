"""What calls of models have in common: settings with the defaults of 2023, and what cannot be carried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast
from uuid import uuid4

from finetune_kit._arguments import number, string, whole_number
from finetune_kit._clock import clock
from finetune_kit._questions import MAX_STOPS
from finetune_kit.backends import Backend, Generation, Sampling
from finetune_kit.errors import UnknownModelError
from finetune_kit.legacy.error import InvalidRequestError
from finetune_kit.legacy.replies import Reply
from finetune_kit.legacy.settings import note


def sampling_of(  # noqa: PLR0917 - the old calls hand all of them on
    max_tokens: int,
    temperature: float | None,
    top_p: float | None,
    frequency_penalty: float | None,
    presence_penalty: float | None,
    stop: str | Sequence[str] | None,
) -> Sampling:
    """The settings of a call; None is the default, as it was."""
    stops = [] if stop is None else texts(stop, "stop")
    if len(stops) > MAX_STOPS or not all(stops):
        raise InvalidRequestError(f"stop={stop!r}: give at most {MAX_STOPS} texts, none empty.", param="stop")
    return Sampling(
        temperature=number("temperature", _or(temperature, 1), 0, 2),
        max_tokens=whole_number("max_tokens", max_tokens, 1),
        top_p=number("top_p", _or(top_p, 1), 0, 1),
        frequency_penalty=number("frequency_penalty", _or(frequency_penalty, 0), -2, 2),
        presence_penalty=number("presence_penalty", _or(presence_penalty, 0), -2, 2),
        stop=tuple(stops),
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def model_name(backend: Backend, model: object, engine: object) -> str:
    """The model of a call; where another one stands in for it, that one, and the log says so."""
    given = engine if model is None else model
    if given is None:
        raise InvalidRequestError("Pass model=, the name of a model, such as a job's fine_tuned_model.", param="model")
    name = string("model", given)
    try:
        resolved = backend.resolve(name)
    except UnknownModelError:
        return name  # one that cannot be trained may answer all the same
    if resolved.note:
        note(resolved.note)
    return resolved.model


def many(n: object) -> int:
    """How many answers to each prompt."""
    return 1 if n is None else whole_number("n", n, 1, 128)


def refuse(*, instead: Mapping[str, str], **given: object) -> None:
    """Raise for what a script asks for and no backend can do, with what to do instead."""
    for name, value in given.items():
        if value:
            raise InvalidRequestError(f"{name}={value!r} cannot be carried. {instead[name]}", param=name)


def usage(generations: Iterable[Generation], *, each: int) -> Reply:
    """Tokens of a call; a prompt with `each` answers was read once."""
    done = list(generations)
    prompt, completion = sum(one.prompt_tokens for one in done[::each]), sum(one.completion_tokens for one in done)
    return Reply(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def reply_to_call(kind: str, prefix: str, model: str, choices: Sequence[Mapping[str, object]], **more: object) -> Reply:
    """The envelope of a model's answers."""
    return Reply(
        id=f"{prefix}-{uuid4().hex}",
        object=kind,
        created=int(clock().now()),
        model=model,
        choices=list(choices),
        **more,
    )


def texts(value: object, parameter: str) -> list[str]:
    """One text or several, as a list; lists of token numbers are refused."""
    given = [value] if isinstance(value, str) else value
    if isinstance(given, Sequence) and all(isinstance(one, str) for one in cast("Sequence[object]", given)):
        return list(cast("Sequence[str]", given))
    raise InvalidRequestError(
        f"{parameter} is neither text nor a list of texts. Numbers of tokens cannot be carried: pass the text.",
        param=parameter,
    )
