"""A model is called as its card says, and says what is wrong with a call."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from finetune_kit._threads import in_thread
from finetune_kit.backends import Generation, Sampling
from finetune_kit.backends.protocol import ChatMessages
from finetune_kit.client import Completion, ModelClient
from finetune_kit.dataset import Dataset, Split
from finetune_kit.errors import HostUnavailableError, ParameterError, TemplateError, UnknownModelError
from finetune_kit.records import JsonValue
from finetune_kit.testing import MemoryBackend
from tests.rows_of import PAIRS


class Recorder(MemoryBackend):
    """Keeps the prompts and settings that reached it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Sequence[str], Sampling]] = []

    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        self.asked.append((prompts, sampling))
        return super().complete(model, prompts, sampling)


@pytest.fixture
def backend() -> Recorder:
    return Recorder()


@pytest.fixture
def model(backend: Recorder) -> ModelClient:
    """Trained on prompts and completions that are labels."""
    return Split(Dataset.from_records(PAIRS)).train(backend=backend).wait().model()


@pytest.fixture
def chat_model(backend: Recorder) -> ModelClient:
    """Trained on conversations."""
    rows = [
        {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]}
        for prompt, answer in PAIRS
    ]
    return Split(Dataset.from_records(rows)).train(backend=backend).wait().model()


def test_the_template_of_the_card_is_used(model: ModelClient, backend: Recorder) -> None:
    assert model.complete("Where is parcel 3?") == "track"
    assert backend.asked == [(["Where is parcel 3? ->"], Sampling(stop=("\n",)))]


def test_a_model_is_found_again_by_its_name(model: ModelClient, backend: Recorder) -> None:
    again = ModelClient(model.name, backend)
    assert again.complete(PAIRS[0][0]) == "track"
    assert (again.name, repr(again)) == (model.name, f"ModelClient({model.name!r})")
    assert again.card == model.card


def test_an_unknown_model_is_told_when_it_is_called(backend: Recorder) -> None:
    with pytest.raises(UnknownModelError, match="knows no model 'ft:lost'"):
        ModelClient("ft:lost", backend).complete("Hi")


SETTINGS: Any = {
    "temperature": 0.5,
    "max_tokens": 7,
    "top_p": 0.9,
    "frequency_penalty": 0.25,
    "presence_penalty": -0.25,
    "stop": ("###", "end"),
    "seed": 11,
}


@pytest.mark.parametrize("call", ["complete", "complete_many", "complete_async", "chat"])
def test_every_setting_of_every_call_arrives_under_its_name(model: ModelClient, backend: Recorder, call: str) -> None:
    if call == "complete":
        model.complete("Hi", **SETTINGS)
    elif call == "complete_many":
        model.complete_many(["Hi"], **SETTINGS)
    elif call == "complete_async":
        asyncio.run(model.complete_async("Hi", **SETTINGS))
    else:
        model.chat([{"role": "user", "content": "Hi"}], **SETTINGS)
    assert backend.asked == [(["Hi ->"], replace(Sampling(**SETTINGS), stop=("\n", "###", "end")))]


def test_one_stop_sequence_needs_no_list(model: ModelClient) -> None:
    assert model.complete(PAIRS[0][0], stop="ck") == "tra"


def test_many_prompts_are_asked_together(model: ModelClient, backend: Recorder) -> None:
    assert model.complete_many(prompt for prompt, _ in PAIRS) == [answer for _, answer in PAIRS]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert len(backend.asked) == 1
    assert model.complete_many([]) == []
    assert len(backend.asked) == 1


def test_completions_are_strings_that_know_how_they_ended(model: ModelClient) -> None:
    whole, cut = model.complete(PAIRS[0][0]), model.complete("Give me the money for order 1 back", max_tokens=1)
    assert isinstance(whole, str)
    assert f"{whole.upper()}!" == "TRACK!"
    assert (whole.finish_reason, whole.generation.completion_tokens) == ("stop", 1)
    assert (cut, cut.finish_reason) == ("refund", "stop")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_completions_pickle(model: ModelClient, protocol: int) -> None:
    completion = model.complete(PAIRS[0][0])
    for again in (pickle.loads(pickle.dumps(completion, protocol)), copy.deepcopy(completion)):
        assert type(again) is Completion
        assert (again, again.generation) == (completion, completion.generation)


def test_calls_run_side_by_side_in_an_event_loop(model: ModelClient) -> None:
    async def ask() -> list[Completion]:
        return await asyncio.gather(*(model.complete_async(prompt) for prompt, _ in PAIRS))

    assert asyncio.run(ask()) == [answer for _, answer in PAIRS]


def test_a_chat_model_takes_prompts_and_conversations(chat_model: ModelClient) -> None:
    assert chat_model.complete(PAIRS[0][0]) == "track"
    assert chat_model.complete_many([prompt for prompt, _ in PAIRS]) == [answer for _, answer in PAIRS]
    assert (
        chat_model.chat([{"role": "system", "content": "Be kind."}, {"role": "user", "content": PAIRS[0][0]}])
        == "track"
    )


def test_a_completion_model_takes_one_user_message(model: ModelClient) -> None:
    assert model.chat([{"role": "user", "content": PAIRS[0][0]}]) == "track"


@pytest.mark.parametrize("roles", [["system", "user"], ["assistant"], ["user", "assistant", "user"]])
def test_a_completion_model_has_no_turns(model: ModelClient, roles: list[str]) -> None:
    with pytest.raises(TemplateError, match="has no notion of turns"):
        model.chat([{"role": role, "content": "Hi"} for role in roles])


def test_the_most_probable_label_is_chosen_among_those_of_the_training(model: ModelClient) -> None:
    found = model.classify("Where is parcel 99?")
    assert (found.label, str(found), list(found.probabilities)) == ("track", "track", ["track", "refund"])
    assert found.probability == found.probabilities["track"] > 0.9
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert [one.label for one in model.classify_many([prompt for prompt, _ in PAIRS])] == [
        answer for _, answer in PAIRS
    ]
    assert model.classify_many([]) == []


def test_labels_can_be_given(model: ModelClient, chat_model: ModelClient) -> None:
    assert model.classify("Where is it?", labels=["track", "lost"]).label == "track"
    assert chat_model.classify(PAIRS[0][0], labels=["refund", "track"]).label == "track"


def test_without_labels_there_is_no_choice(chat_model: ModelClient) -> None:
    with pytest.raises(ParameterError, match=r"was not trained on a closed set of labels\. Pass labels="):
        chat_model.classify("Hi")


@pytest.mark.parametrize("labels", ["track", ["track"], [], ["a", "a"], ["a", 5], 5])
def test_what_is_no_choice_is_refused(model: ModelClient, labels: Any) -> None:
    with pytest.raises(ParameterError, match="labels"):
        model.classify("Hi", labels=labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 2.1}, "temperature=2.1: give a number from 0 to 2"),
        ({"temperature": "hot"}, "temperature='hot'"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"max_tokens": 0}, "max_tokens=0: give a whole number of at least 1"),
        ({"max_tokens": 1.5}, "max_tokens=1.5"),
        ({"top_p": -0.1}, "top_p=-0.1"),
        ({"frequency_penalty": 3}, "frequency_penalty=3"),
        ({"presence_penalty": None}, "presence_penalty=None"),
        ({"stop": ""}, "stop='': give at most 4 sequences, none of them empty"),
        ({"stop": ["a", ""]}, "none of them empty"),
        ({"stop": list("abcde")}, "at most 4"),
        ({"stop": [1]}, r"stop\[0\] is int, not text"),
        ({"stop": 5}, "stop is int, not a list of strings"),
        ({"seed": 0.5}, "seed=0.5"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(
    model: ModelClient, backend: Recorder, settings: Any, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        model.complete("Hi", **settings)
    assert not backend.asked


@pytest.mark.parametrize("prompt", [None, 5, b"Hi", ["Hi"]])
def test_a_prompt_is_text(model: ModelClient, prompt: Any) -> None:
    for call in (model.complete, model.classify, lambda one: model.complete_many([one])):
        with pytest.raises(ParameterError, match="not text"):
            call(prompt)
    with pytest.raises(ParameterError, match="not a list of strings"):
        model.complete_many("Hi")


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "at least one message"),
        ("Hi", "messages is a list"),
        ({"role": "user", "content": "Hi"}, "messages is a list"),
        (None, "messages is a list"),
        (["Hi"], r"messages\[0\] is str, not an object"),
        ([{"content": "Hi"}], r"messages\[0\]\['role'\] is NoneType, not text"),
        ([{"role": "user"}], r"messages\[0\]\['content'\] is NoneType, not text"),
    ],
)
def test_what_is_no_conversation_is_refused(model: ModelClient, messages: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        model.chat(messages)


def test_a_prompt_that_was_rendered_by_hand_is_refused(model: ModelClient) -> None:
    with pytest.raises(TemplateError, match="Pass the plain text"):
        model.complete("Hi ->")


async def gathered(pieces: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in pieces]


def test_tools_are_refused_where_no_model_is_offered_any(model: ModelClient) -> None:
    with pytest.raises(ParameterError, match="the models of 'memory' are not offered any"):
        model.chat([{"role": "user", "content": "Hi"}], tools=[{"type": "function", "function": {"name": "track"}}])
    assert model.complete("Hi", max_tokens=1).tool_calls == ()


@pytest.mark.parametrize("tools", ["track", {"name": "track"}, [None], [{"type": "function"}], [{"function": {}}], 7])
def test_what_is_no_tool_is_refused(model: ModelClient, tools: Any) -> None:
    with pytest.raises(ParameterError, match=r"no tool|not a list of tools"):
        model.chat([{"role": "user", "content": "Hi"}], tools=tools)


def test_whoever_stops_reading_an_asynchronous_stream_ends_it_and_an_error_in_it_arrives() -> None:
    closed: list[bool] = []

    class Endless(MemoryBackend):
        def stream(self, model: str, prompt: str, sampling: Sampling) -> Iterator[str]:
            try:
                yield " a"
                yield "b"
                raise HostUnavailableError("gone.")
            finally:
                closed.append(True)

        def stream_chat(self, model: str, messages: ChatMessages, sampling: Sampling) -> Iterator[str]:
            return self.stream(model, "", sampling)

    model = Dataset.from_records([(f"{n}?", "b") for n in range(12)]).split(0.8).train(backend=Endless()).wait().model()

    async def first() -> str:
        async with aclosing(model.stream_async("1?")) as pieces:
            return await anext(pieces)

    async def cancelled() -> None:
        waited, proceed = threading.Event(), threading.Event()

        def slow() -> Iterator[str]:
            try:
                waited.set()
                proceed.wait(10)
                yield "too late"
            finally:
                closed.append(True)

        asking = asyncio.ensure_future(anext(in_thread(slow())))
        await asyncio.to_thread(waited.wait, 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        proceed.set()

    asyncio.run(cancelled())
    assert closed == [True], "as soon as it could be"
    closed.clear()
    assert asyncio.run(first()) == "a"
    assert closed == [True]
    with pytest.raises(HostUnavailableError, match="gone"):
        asyncio.run(gathered(model.stream_async("1?")))


class Streaming(MemoryBackend):
    """Streams token by token, and answers without a thread."""

    def stream(self, model: str, prompt: str, sampling: Sampling) -> Iterator[str]:
        yield from self.complete(model, [prompt], sampling)[0].text

    def stream_chat(self, model: str, messages: ChatMessages, sampling: Sampling) -> Iterator[str]:
        yield from self.chat(model, [messages], sampling)[0].text

    async def complete_async(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        assert threading.current_thread() is threading.main_thread()
        return self.complete(model, prompts, sampling)

    async def chat_async(
        self, model: str, conversations: Sequence[ChatMessages], sampling: Sampling
    ) -> list[Generation]:
        assert threading.current_thread() is threading.main_thread()
        return self.chat(model, conversations, sampling)


@pytest.mark.parametrize("backend", [MemoryBackend(), Streaming()], ids=lambda backend: type(backend).__name__)
@pytest.mark.parametrize("kind", ["completion", "chat"])
def test_whatever_way_a_model_is_asked_it_answers_the_same(backend: MemoryBackend, kind: str) -> None:
    rows = [(f"Where is parcel {number}?", "track it") for number in range(20)]
    dataset = Dataset.from_records(rows)
    split = (dataset if kind == "completion" else dataset.to_chat()).split(0.8)
    model = split.train(backend=backend).wait().model()
    question = "Where is parcel 3?"
    answer = model.complete(question)
    pieces = list(model.stream(question))
    messages: list[dict[str, JsonValue]] = [{"role": "user", "content": question}]
    assert answer == "track it"
    assert "".join(pieces) == answer
    assert len(pieces) == (len(answer) if isinstance(backend, Streaming) else 1)
    assert asyncio.run(gathered(model.stream_async(question))) == pieces
    assert asyncio.run(model.complete_async(question)) == answer
    assert asyncio.run(model.complete_many_async([question] * 2)) == [answer] * 2
    assert asyncio.run(model.chat_async(messages)) == answer


class Telling(Recorder):
    """Says that it tells log-probabilities."""

    most_logprobs = 20


@pytest.mark.parametrize(
    ("more", "asked"), [({"logprobs": True}, 0), ({"logprobs": True, "top_logprobs": 7}, 7), ({}, None)]
)
def test_log_probabilities_are_asked_for_as_openai_names_them(more: Any, asked: int | None) -> None:
    backend = Telling()
    model = Split(Dataset.from_records(PAIRS)).train(backend=backend).wait().model()
    model.complete("Hi", **more)
    model.complete_many(["Hi"], **more)
    model.chat([{"role": "user", "content": "Hi"}], **more)
    asyncio.run(model.complete_async("Hi", **more))
    asyncio.run(model.complete_many_async(["Hi"], **more))
    asyncio.run(model.chat_async([{"role": "user", "content": "Hi"}], **more))
    assert [sampling.top_logprobs for _, sampling in backend.asked] == [asked] * 6


def test_a_backend_that_tells_none_refuses_log_probabilities(model: ModelClient) -> None:
    with pytest.raises(ParameterError, match="does not tell how probable tokens are"):
        model.complete("Hi", logprobs=True)


@pytest.mark.parametrize("more", [{"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 21}, {"logprobs": 1}])
def test_odd_wishes_for_log_probabilities_are_refused(more: Any) -> None:
    model = Split(Dataset.from_records(PAIRS)).train(backend=Telling()).wait().model()
    with pytest.raises(ParameterError, match="logprobs"):
        model.complete("Hi", **more)
