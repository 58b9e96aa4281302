"""Models are asked as each takes it, many at once, and their answers are read the same whichever way they came."""

from __future__ import annotations

import asyncio
import gc
import math

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import errors
from finetune_kit.backends import AnswersAsync, Sampling, Streams
from finetune_kit.backends.hosted.objects.generation import cut as cut_at_stop
from finetune_kit.backends.hosted.ranking import ranked
from finetune_kit.backends.hosted.writing import Writing
from finetune_kit.records import JsonValue
from tests.backends.hosted.scripted_host import Asked, Says, answering, error

USAGE = {"prompt_tokens": 3, "completion_tokens": 2}
HELLO = [{"role": "user", "content": "Hello"}]


def completion(text: str, *, finish: str = "stop", **more: object) -> Says:
    return Says({"choices": [{"text": text, "finish_reason": finish, **more}], "usage": USAGE})


def chat(text: str | None, *, finish: str = "stop", **more: object) -> Says:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish, **more}
    return Says({"choices": [choice], "usage": USAGE, "model": "m"})


def test_only_what_differs_from_the_default_is_sent() -> None:
    with answering(completion("a")) as (backend, host):
        backend.complete("m", ["Hi"], Sampling())
        assert host.asked[0].path == "/v1/completions"
        assert host.asked[0].json == {"model": "m", "prompt": "Hi", "max_tokens": 256, "temperature": 0.0}
        stops = ("a", "b", "c", "d", "e")
        full = Sampling(top_p=0.9, frequency_penalty=0.1, presence_penalty=-0.1, stop=stops, seed=3)
        backend.complete("m", ["Hi"], full)
        told = host.asked[1].json
    assert told["stop"] == ["a", "b", "c", "d"]
    assert {key: told[key] for key in ("top_p", "frequency_penalty", "presence_penalty", "seed")} == {
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "presence_penalty": -0.1,
        "seed": 3,
    }


def test_a_stop_sequence_beyond_the_hosts_four_counts_as_well() -> None:
    with answering(completion("one two five six", finish="length")) as (backend, _):
        [answer] = backend.complete("m", ["Hi"], Sampling(stop=("a", "b", "c", "d", " five")))
    assert (answer.text, answer.finish_reason) == ("one two", "stop")
    assert (answer.prompt_tokens, answer.completion_tokens) == (3, 2)


def test_many_questions_are_answered_at_once_and_in_order() -> None:
    with answering(lambda asked: completion(f"re {asked.json['prompt']}")) as (backend, _):
        answers = backend.complete("m", [str(number) for number in range(50)], Sampling())
    assert [answer.text for answer in answers] == [f"re {number}" for number in range(50)]


def test_the_first_error_ends_all() -> None:
    def answer(asked: Asked) -> Says:
        return error(400, "bad") if asked.json["prompt"] == "3" else completion("ok")

    with answering(answer) as (backend, host):
        with pytest.raises(errors.RequestRefusedError):
            backend.complete("m", [str(number) for number in range(200)], Sampling())
        assert len(host.asked) < 200


def test_messages_go_as_they_are() -> None:
    turn: dict[str, JsonValue] = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}
    with answering(chat("done")) as (backend, host):
        [answer] = backend.chat("m", [[*HELLO, turn]], Sampling())
        assert answer.text == "done"
        assert host.asked[0].path == "/v1/chat/completions"
        assert host.asked[0].json["messages"] == [*HELLO, turn]


def test_a_tool_call_has_no_text() -> None:
    with answering(chat(None, finish="tool_calls")) as (backend, _):
        [answer] = backend.chat("m", [HELLO], Sampling())
        assert (answer.text, answer.finish_reason) == ("", "stop")


def test_a_model_that_wants_the_newer_name_of_the_limit_gets_it_from_then_on() -> None:
    def answer(asked: Asked) -> Says:
        if "max_tokens" in asked.json:
            said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return Says({"error": {"message": said, "code": "unsupported_parameter", "param": "max_tokens"}}, 400)
        return chat("ok")

    with answering(answer) as (backend, host):
        assert [one.text for one in backend.chat("o4-mini", [HELLO], Sampling())] == ["ok"]
        backend.chat("o4-mini", [HELLO], Sampling())
        assert ["max_tokens" in asked.json for asked in host.asked] == [True, False, False]


def test_a_model_that_only_chats_says_so() -> None:
    said = "This is a chat model and not supported in the v1/completions endpoint. Did you mean v1/chat/completions?"
    with answering(error(404, said)) as (backend, _), pytest.raises(errors.RequestRefusedError, match=r"call chat\(\)"):
        backend.complete("gpt-4.1", ["Hi"], Sampling())


def test_a_model_that_does_not_chat_says_so() -> None:
    said = "This is not a chat model and thus not supported in the v1/chat/completions endpoint."
    refusal = pytest.raises(errors.RequestRefusedError, match=r"call complete\(\)")
    with answering(error(404, said)) as (backend, _), refusal:
        backend.chat("davinci-002", [HELLO], Sampling())


def test_a_model_that_has_just_come_to_be_is_waited_for() -> None:
    name = "ft:gpt-4.1-2025-04-14:org::1"
    job = {"id": "ftjob-1", "status": "succeeded", "fine_tuned_model": name, "created_at": 1}
    missing = [error(404, "The model does not exist", code="model_not_found")] * 3

    def answer(asked: Asked) -> Says:
        if asked.method == "GET":
            return Says(job)
        return missing.pop() if missing else chat("here")

    with answering(answer) as (backend, _):
        backend.job("ftjob-1")
        assert backend.chat(name, [HELLO], Sampling())[0].text == "here"


def test_another_model_that_is_not_there_is_unknown_at_once() -> None:
    with answering(error(404, "no", code="model_not_found")) as (backend, host):
        with pytest.raises(errors.UnknownModelError) as caught:
            backend.chat("ft:gpt-4.1-2025-04-14:org::1", [HELLO], Sampling())
        assert len(host.asked) == 1
        assert "gpt-4.1-2025-04-14" in caught.value.known


def test_a_busy_host_is_asked_again() -> None:
    answers = [completion("ok"), error(503), Says({}, 429, {"retry-after": "2"})]
    with answering(lambda _: answers.pop()) as (backend, host):
        assert backend.complete("m", ["Hi"], Sampling())[0].text == "ok"
        assert len(host.asked) == 3


def test_a_text_that_is_no_unicode_is_refused_before_it_is_sent() -> None:
    with answering(completion("a")) as (backend, host):
        with pytest.raises(errors.RequestRefusedError, match="valid Unicode"):
            backend.complete("m", ["half a pair: \ud83d"], Sampling())
        assert not host.asked


def test_answers_come_without_blocking_the_event_loop() -> None:
    with answering(lambda asked: chat("hi") if "messages" in asked.json else completion("there")) as (backend, host):
        assert isinstance(backend, AnswersAsync)

        async def ask() -> list[str]:
            texts = [one.text for one in await backend.chat_async("m", [HELLO] * 20, Sampling())]
            texts += [one.text for one in await backend.complete_async("m", ["Hi"], Sampling())]
            await backend.close_async()
            return texts

        assert asyncio.run(ask()) == ["hi"] * 20 + ["there"]
        assert asyncio.run(ask()) == ["hi"] * 20 + ["there"]  # in another loop
        assert len(host.asked) == 42


def test_connections_are_closed_with_the_event_loop_that_opened_them() -> None:
    """Where nobody closes the backend, as with `asyncio.run` for each call."""
    with answering(completion("there")) as (backend, host):
        for _call in range(3):
            asyncio.run(backend.complete_async("m", ["Hi"], Sampling()))
            clients = [one for one in gc.get_objects() if type(one) is openai.AsyncOpenAI]
            opened = [one for one in clients if str(one.base_url).startswith(host.url)]
            assert opened
            assert all(one.is_closed() for one in opened)


def test_an_error_in_the_event_loop_is_ours() -> None:
    with answering(error(401)) as (backend, _):

        async def ask() -> None:
            try:
                await backend.chat_async("m", [HELLO] * 3, Sampling())
            finally:
                await backend.close_async()

        with pytest.raises(errors.AuthenticationError):
            asyncio.run(ask())


def events(*pieces: str, chats: bool = True) -> Says:
    choices = [{"delta": {"content": piece}} if chats else {"text": piece} for piece in pieces]
    chunks: list[dict[str, object]] = [{"choices": [choice]} for choice in choices]
    text = "".join(f"data: {Says(chunk).content.decode()}\n\n" for chunk in [*chunks, {"choices": []}])
    return Says(f"{text}data: [DONE]\n\n".encode(), content_type="text/event-stream")


@pytest.mark.parametrize("chats", [True, False])
def test_an_answer_is_streamed_up_to_its_stop_sequence(chats: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with answering(events("Hel", "lo", " wor", "ld E", "ND more", chats=chats)) as (backend, host):
        assert isinstance(backend, Streams)
        sampling = Sampling(stop=(" END",))
        pieces = backend.stream_chat("m", HELLO, sampling) if chats else backend.stream("m", "Hi", sampling)
        assert "".join(pieces) == "Hello world"
        assert host.asked[0].json["stream"] is True


def test_a_host_that_does_not_stream_answers_in_one_piece() -> None:
    with answering(chat("Hello")) as (backend, _):
        assert list(backend.stream_chat("m", HELLO, Sampling())) == ["Hello"]


def test_an_error_in_a_stream_is_ours() -> None:
    broken = Says(b'data: {"error": {"message": "overloaded"}}\n\n', content_type="text/event-stream")
    with answering(broken) as (backend, _), pytest.raises(errors.BackendError):
        list(backend.stream_chat("m", HELLO, Sampling()))
    with answering(error(401)) as (backend, _), pytest.raises(errors.AuthenticationError):
        list(backend.stream_chat("m", HELLO, Sampling()))
    cut = Says(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', content_type="text/event-stream", cut=True)
    with answering(cut) as (backend, _), pytest.raises(errors.HostUnavailableError):
        list(backend.stream_chat("m", HELLO, Sampling()))


@given(st.lists(st.text("ab|", max_size=4)), st.lists(st.text("ab|", min_size=1, max_size=3), max_size=3))
def test_a_stream_ends_where_the_whole_text_would(pieces: list[str], stops: list[str]) -> None:
    writing = Writing(tuple(stops))
    streamed: list[str] = []
    for piece in pieces:
        streamed += writing.add(piece)
        if writing.ended:
            break
    streamed += writing.rest()
    assert "".join(streamed) == cut_at_stop("".join(pieces), tuple(stops))
    assert all(streamed)


def test_the_stop_sequence_that_is_complete_first_ends_the_text() -> None:
    assert cut_at_stop("a|a", ("|", "a|a")) == "a"
    assert cut_at_stop("xEND", ("END", "D")) == "x"
    assert cut_at_stop("abc", ()) == "abc"


def step(token: str, **options: float) -> dict[str, JsonValue]:
    told: list[JsonValue] = [{"token": text, "logprob": math.log(value)} for text, value in options.items()]
    return {"token": token, "logprob": math.log(options[token]), "top_logprobs": told}


def scored(*steps: dict[str, JsonValue]) -> dict[str, JsonValue]:
    content: list[JsonValue] = list(steps)
    text = "".join(str(one["token"]) for one in steps)
    return {"choices": [{"message": {"content": text}, "logprobs": {"content": content}, "finish_reason": "stop"}]}


def test_labels_that_begin_differently_are_ranked_exactly() -> None:
    probabilities = ranked(["refund", "track", "other"], scored(step("track", track=0.7, refund=0.2, other=0.1)))
    assert probabilities == pytest.approx([0.2, 0.7, 0.1])


def test_labels_that_begin_alike_are_ranked_where_they_part() -> None:
    answer = scored(step("card", card=0.9, loan=0.1), step("_lost", _lost=0.75, _stolen=0.25))
    assert ranked(["card_lost", "card_stolen", "loan"], answer) == pytest.approx([0.675, 0.225, 0.1])


def test_a_label_that_another_begins_with_is_told_from_it() -> None:
    assert ranked(["track", "tracking"], scored(step("track", track=1.0))) == pytest.approx([1, 0], abs=1e-3)
    longer = scored(step("track", track=1.0), step("ing", ing=1.0))
    assert ranked(["track", "tracking"], longer) == pytest.approx([0, 1], abs=1e-3)


def test_one_token_that_leads_to_several_labels_is_shared() -> None:
    answer = scored(step("x", x=0.5, ca=0.5))
    assert ranked(["x", "card", "cat"], answer) == pytest.approx([0.5, 0.25, 0.25])


def test_completions_are_ranked_by_their_own_form_of_log_probabilities() -> None:
    told = {"tokens": [" a"], "token_logprobs": [-0.1], "top_logprobs": [{" a": math.log(0.9), " b": math.log(0.1)}]}
    with answering(completion(" a", logprobs=told)) as (backend, host):
        assert backend.rank("m", ["Hi"], [" a\n", " b\n"]) == [pytest.approx([0.9, 0.1], rel=0.01)]
        assert host.asked[0].json["logprobs"] == 5


def test_without_log_probabilities_the_label_that_was_written_has_all() -> None:
    with answering(chat("Track it")) as (backend, host):
        assert backend.rank_chat("m", [HELLO], ["Track", "Refund"]) == [[1, 0]]
        assert backend.rank_chat("m", [HELLO], ["a", "b"]) == [[0.5, 0.5]]
        assert host.asked[0].json["top_logprobs"] == 20


def test_a_host_that_takes_no_log_probabilities_is_asked_without() -> None:
    def answer(asked: Asked) -> Says:
        return error(400, "logprobs are not supported", param="logprobs") if "logprobs" in asked.json else chat("b")

    with answering(answer) as (backend, host):
        assert backend.rank_chat("m", [HELLO] * 2, ["a", "b"]) == [[0, 1]] * 2
        backend.rank_chat("m", [HELLO], ["a", "b"])
        assert "logprobs" not in host.asked[-1].json


@given(
    st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=5, unique=True),
    st.lists(
        st.dictionaries(st.text("abc", min_size=1, max_size=3), st.floats(1e-9, 1.0), min_size=1, max_size=4),
        max_size=4,
    ),
)
def test_probabilities_always_sum_to_one(labels: list[str], options: list[dict[str, float]]) -> None:
    steps = [step(next(iter(one)), **one) for one in options]
    probabilities = ranked(labels, scored(*steps))
    assert len(probabilities) == len(labels)
    assert sum(probabilities) == pytest.approx(1)
    assert min(probabilities) >= 0
