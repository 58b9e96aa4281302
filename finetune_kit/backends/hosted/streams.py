"""What a model writes, piece by piece as it writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

from finetune_kit.backends.hosted.answering import Answers
from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.asking import Asker, Reply, arguments_of, read_object
from finetune_kit.backends.hosted.calls import Call
from finetune_kit.backends.hosted.clients import openai
from finetune_kit.backends.hosted.objects.generation import end_of
from finetune_kit.backends.hosted.objects.values import first, members
from finetune_kit.errors import FinetuneKitError, RequestRefusedError
from finetune_kit.records import JsonValue


def streamed(answers: Answers, call: Call) -> Iterator[str]:
    """The pieces of an answer, none of them empty, up to the first stop sequence; whoever stops reading ends it."""
    streaming = replace(call, more={**call.more, "stream": True})
    ask, stream = _opened(answers, streaming)
    try:
        if "text/event-stream" not in stream.response.headers.get("content-type", ""):  # it knows no streams
            whole = call.read(read_object(_read(stream.response), ask, answers.asker.host)).text
            yield from [whole] if whole else []
            return
        yield from until_stop(map(_piece, _mapped(stream, answers.asker, ask)), call.sampling.stop)
    finally:
        stream.close()


def until_stop(pieces: Iterable[str], stops: tuple[str, ...]) -> Iterator[str]:
    """The pieces up to the first stop sequence; what may be the beginning of one is held back until it is known."""
    longest = max(map(len, stops), default=1)
    held = ""
    for piece in pieces:
        held += piece
        end = end_of(held, stops)
        if end is not None:
            yield from [held[:end]] if end else []
            return
        ready = len(held) - (longest - 1)
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    yield from [held] if held else []


def _opened(answers: Answers, call: Call) -> tuple[Ask, Any]:
    """An open stream; it is tried as a whole answer is, until its first piece could come."""
    while True:
        ask = call.ask(answers.habits)
        try:
            return ask, answers.habits.retries(call.model).call(partial(_open, answers.asker, ask))
        except RequestRefusedError as error:
            answers.habits.learn(call, error)
            if call.ask(answers.habits) == ask:
                raise


def _open(asker: Asker, ask: Ask) -> Any:
    streaming: dict[str, Any] = {"cast_to": object, "stream": True, "stream_cls": openai().Stream[object]}
    arguments: dict[str, Any] = arguments_of(ask, asker.client) | streaming
    try:
        return asker.client.post(**arguments)
    except Exception as error:
        raise asker.mapped(error, ask) from error


def _mapped(stream: Iterable[object], asker: Asker, ask: Ask) -> Iterator[JsonValue]:
    """The chunks of a stream, with our errors for those that come on the way."""
    try:
        for chunk in stream:
            yield cast("JsonValue", chunk)
    except FinetuneKitError:
        raise
    except Exception as error:
        raise asker.mapped(error, ask) from error


def _piece(chunk: JsonValue) -> str:
    choice = members(first(members(chunk).get("choices")))
    text = choice.get("text", members(choice.get("delta")).get("content"))
    return text if isinstance(text, str) else ""


def _read(response: Any) -> Reply:
    response.read()
    return cast("Reply", response)
