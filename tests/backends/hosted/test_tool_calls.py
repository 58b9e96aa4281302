"""What a model wants done has a place of its own, whichever way it was asked."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import ModelClient, ToolCall
from finetune_kit.backends import CallingPiece, HostedBackend, Sampling, StreamsAsync
from finetune_kit.backends.hosted.objects.tool_call import Gathered
from finetune_kit.cards import ModelCard
from finetune_kit.errors import HostReplyError, HostUnavailableError, ParameterError, RequestRefusedError
from finetune_kit.templates import PromptTemplate
from tests.backends.hosted.scripted_host import Asked, Says, answering, error

T = TypeVar("T")
CALL = ToolCall(id="call_1", name="track", arguments='{"parcel": 7}')
TOLD = {"id": "call_1", "type": "function", "function": {"name": "track", "arguments": '{"parcel": 7}'}}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}
HELLO: list[Any] = [{"role": "user", "content": "Where is parcel 7?"}]
CARD = ModelCard(base="m", requested_model="m", backend="openai", kind="chat")


def chat(finish: str = "tool_calls", **message: object) -> Says:
    choice = {"message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    return Says({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})


def events(*deltas: Mapping[str, object]) -> Says:
    chunks = [{"choices": [{"delta": delta}]} for delta in deltas]
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return Says(f"{text}data: [DONE]\n\n".encode(), content_type="text/event-stream")


def called(**call: object) -> dict[str, object]:
    return {"tool_calls": [call]}


IN_PIECES = (
    {"role": "assistant", "content": "One "},
    {"content": "moment."},
    called(index=0, id="call_1", type="function", function={"name": "track", "arguments": ""}),
    called(index=1, id="call_2", function={"name": "say", "arguments": "{}"}),
    called(index=0, function={"arguments": '{"parcel"'}),
    called(index=0, id=None, function={"name": None, "arguments": ": 7}"}),
)


def client(backend: HostedBackend) -> ModelClient:
    return ModelClient("m", backend, card=CARD)


def run(backend: HostedBackend, answer: Coroutine[Any, Any, T]) -> T:
    async def whole() -> T:
        try:
            return await answer
        finally:
            await backend.close_async()

    return asyncio.run(whole())


def gathered(backend: HostedBackend, pieces: AsyncIterator[str]) -> list[str]:
    async def whole() -> list[str]:
        return [piece async for piece in pieces]

    return run(backend, whole())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_calls_of_tools_are_in_the_answer_and_the_conversation_goes_on(*, asynchronous: bool) -> None:
    answers = iter([chat(tool_calls=[TOLD]), chat("stop", content="It is in Kiel.")])
    with answering(lambda _: next(answers)) as (backend, host):
        model = client(backend)

        def ask(messages: list[Any]) -> Any:
            if asynchronous:
                return run(backend, model.chat_async(messages, tools=[TOOL]))
            return model.chat(messages, tools=[TOOL])

        answer = ask(HELLO)
        assert (answer, answer.finish_reason, answer.tool_calls) == ("", "tool_calls", (CALL,))
        assert host.asked[0].json["tools"] == [TOOL]
        turns = [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call.content() for call in answer.tool_calls]},
            {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "Kiel"},
        ]
        assert ask(turns) == "It is in Kiel."
        assert host.asked[1].json["messages"] == [*HELLO, {**turns[1], "tool_calls": [TOLD]}, turns[2]]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stream_ends_with_the_calls(*, asynchronous: bool) -> None:
    with answering(events(*IN_PIECES)) as (backend, host):
        model = client(backend)
        if asynchronous:
            pieces = gathered(backend, model.stream_async("Hi", tools=[TOOL]))
        else:
            pieces = list(model.stream("Hi", tools=[TOOL]))
        assert host.asked[0].json["tools"] == [TOOL]
    *text, last = pieces
    assert text == ["One ", "moment."]
    assert "".join(pieces) == "One moment."
    assert isinstance(last, CallingPiece)
    assert last.tool_calls == (CALL, ToolCall(id="call_2", name="say", arguments="{}"))
    assert pickle.loads(pickle.dumps(last)).tool_calls == last.tool_calls


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_host_that_does_not_stream_calls_tools_all_the_same(*, asynchronous: bool) -> None:
    with answering(chat(tool_calls=[TOLD])) as (backend, _):
        model = client(backend)
        pieces = gathered(backend, model.stream_async("Hi")) if asynchronous else list(model.stream("Hi"))
    assert [getattr(piece, "tool_calls", None) for piece in pieces] == [(CALL,)]


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ({"tool_calls": [{"function": {"name": "a", "arguments": {"键": 1}}}]}, ("", "a", '{"键": 1}', "function")),
        ({"tool_calls": [{"id": "1", "function": {"name": "a"}}]}, ("1", "a", "", "function")),
        ({"function_call": {"name": "a", "arguments": "{}"}}, ("", "a", "{}", "function")),
        ({"tool_calls": [{"id": "1", "custom": {"name": "a", "input": "x"}}]}, ("1", "a", "x", "custom")),
    ],
)
def test_other_forms_of_calls_are_read(message: dict[str, object], call: tuple[str, str, str, str]) -> None:
    with answering(chat("stop", content="Yes", **message)) as (backend, _):
        [answer] = backend.chat("m", [HELLO], Sampling())
    [found] = answer.tool_calls
    assert (found.id, found.name, found.arguments, found.type) == call
    assert (answer.text, answer.finish_reason) == ("Yes", "tool_calls")


@pytest.mark.parametrize("calls", [[{}], [None], [{"function": {"name": ""}}], ["track"]])
def test_a_call_without_a_name_is_odd_and_not_left_out(calls: list[object]) -> None:
    with answering(chat(tool_calls=calls)) as (backend, _), pytest.raises(HostReplyError, match="without a name"):
        backend.chat("m", [HELLO], Sampling())


def test_an_answer_that_was_cut_off_says_so_and_one_without_calls_has_none() -> None:
    with answering(chat("length", tool_calls=[TOLD])) as (backend, _):
        assert client(backend).chat(HELLO).finish_reason == "length"
    with answering(chat("stop", content="Yes", tool_calls=None)) as (backend, _):
        answer = client(backend).chat(HELLO)
    assert (answer.tool_calls, answer.finish_reason) == ((), "stop")


def test_a_model_of_prompts_is_offered_no_tools() -> None:
    with answering(chat()) as (backend, host):
        template = PromptTemplate(separator=" ->", stop="\n", leading_space=True)
        model = ModelClient("m", backend, card=CARD.model_copy(update={"template": template}))
        for ask in (lambda: model.chat(HELLO, tools=[TOOL]), lambda: list(model.stream("Hi", tools=[TOOL]))):
            with pytest.raises(ParameterError, match="calls none"):
                ask()
        assert host.asked == []


@given(
    st.lists(
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda inner: (
                st.dictionaries(
                    st.sampled_from(
                        [
                            "tool_calls",
                            "function_call",
                            "index",
                            "id",
                            "function",
                            "custom",
                            "name",
                            "arguments",
                            "input",
                        ]
                    ),
                    inner,
                )
                | st.lists(inner, max_size=3)
            ),
            max_leaves=12,
        )
    )
)
def test_whatever_comes_in_pieces_is_read_or_odd(deltas: list[Any]) -> None:
    calls = Gathered()
    for delta in deltas:
        calls.add(delta if isinstance(delta, dict) else {})
    with suppress(HostReplyError):
        assert all(call.name for call in calls.whole())


def test_an_asynchronous_stream_is_tried_again_and_tells_our_errors() -> None:
    answers = iter([error(500), events({"content": "Hel"}, {"content": "lo END"}, {"content": " more"})])
    with answering(lambda _: next(answers)) as (backend, host):
        assert isinstance(backend, StreamsAsync)
        pieces = backend.stream_chat_async("m", HELLO, Sampling(stop=(" END",)))
        assert "".join(gathered(backend, pieces)) == "Hello"
        assert len(host.asked) == 2
    broken = Says(b'data: {"error": {"message": "overloaded"}}\n\n', content_type="text/event-stream")
    cut = Says(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', content_type="text/event-stream", cut=True)
    for says, kind in ((broken, Exception), (cut, HostUnavailableError), (error(400), RequestRefusedError)):
        with answering(says) as (backend, _), pytest.raises(kind) as raised:
            gathered(backend, backend.stream_async("m", "Hi", Sampling()))
        assert type(raised.value).__module__ == "finetune_kit.errors"


def test_a_limit_under_another_name_is_learned_in_a_stream_too() -> None:
    def says(asked: Asked) -> Says:
        refused = error(400, "Unsupported parameter: 'max_tokens'", code="unsupported_parameter", param="max_tokens")
        return refused if "max_tokens" in asked.json else events({"content": "Hi"})

    with answering(says) as (backend, host):
        assert gathered(backend, backend.stream_chat_async("m", HELLO, Sampling())) == ["Hi"]
        assert len(host.asked) == 2
