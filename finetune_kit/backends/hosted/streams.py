"""What a model writes, piece by piece as it writes it: for those who wait, and for those with an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

from finetune_kit.backends.hosted.answering import Answers, AsyncAnswers
from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.asking import Asker, AsyncAsker, arguments_of, read_object
from finetune_kit.backends.hosted.calls import Call
from finetune_kit.backends.hosted.clients import openai
from finetune_kit.backends.hosted.mapping import mapped
from finetune_kit.backends.hosted.writing import Writing, whole
from finetune_kit.errors import RequestRefusedError
from finetune_kit.records import JsonValue


def streamed(answers: Answers, call: Call) -> Iterator[str]:
    """The pieces of an answer up to the first stop sequence; whoever stops reading ends it.

    None of them is empty but the last one of an answer that calls tools, a `CallingPiece`.
    """
    ask, stream = _opened(answers, _streaming(call))
    try:
        if not _is_stream(stream):
            stream.response.read()
            yield from whole(call.read(read_object(stream.response, ask, answers.asker.host)))
            return
        writing = Writing(call.sampling.stop)
        for chunk in _chunks(stream, answers.asker, ask):
            yield from writing.chunk(chunk)
            if writing.ended:
                return
        yield from writing.rest()
    finally:
        stream.close()


async def streamed_async(answers: AsyncAnswers, call: Call) -> AsyncGenerator[str]:
    """The same without blocking the event loop."""
    ask, stream = await _opened_async(answers, _streaming(call))
    try:
        if not _is_stream(stream):
            await stream.response.aread()
            for piece in whole(call.read(read_object(stream.response, ask, answers.asker.host))):
                yield piece
            return
        writing = Writing(call.sampling.stop)
        async for chunk in _chunks_async(stream, answers.asker, ask):
            for piece in writing.chunk(chunk):
                yield piece
            if writing.ended:
                return
        for piece in writing.rest():
            yield piece
    finally:
        await stream.close()


def _streaming(call: Call) -> Call:
    return replace(call, more={**call.more, "stream": True})


def _is_stream(stream: Any) -> bool:
    """Some hosts know no streams and answer at once."""
    return "text/event-stream" in stream.response.headers.get("content-type", "")


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


async def _opened_async(answers: AsyncAnswers, call: Call) -> tuple[Ask, Any]:
    while True:
        ask = call.ask(answers.habits)
        try:
            return ask, await answers.habits.retries(call.model).call_async(partial(_open_async, answers.asker, ask))
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


async def _open_async(asker: AsyncAsker, ask: Ask) -> Any:
    streaming: dict[str, Any] = {"cast_to": object, "stream": True, "stream_cls": openai().AsyncStream[object]}
    arguments: dict[str, Any] = arguments_of(ask, asker.client) | streaming
    try:
        return await asker.client.post(**arguments)
    except Exception as error:
        raise mapped(error, ask, asker.host) from error


def _chunks(stream: Any, asker: Asker, ask: Ask) -> Iterator[JsonValue]:
    """The chunks of a stream, with our errors for those that come on the way."""
    try:
        for chunk in stream:
            yield cast("JsonValue", chunk)
    except Exception as error:
        raise asker.mapped(error, ask) from error


async def _chunks_async(stream: Any, asker: AsyncAsker, ask: Ask) -> AsyncIterator[JsonValue]:
    try:
        async for chunk in stream:
            yield cast("JsonValue", chunk)
    except Exception as error:
        raise mapped(error, ask, asker.host) from error
