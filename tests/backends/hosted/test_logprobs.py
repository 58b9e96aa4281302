"""Log-probabilities at hosts: asked for by each API's names, read in either shape, an error where there are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from finetune_kit.backends import Sampling
from finetune_kit.backends.hosted.calls import Call, Habits, chats_asked, prompts_asked
from finetune_kit.backends.hosted.logprobs import logprobs_of
from finetune_kit.backends.protocol import TokenLogprob, TopLogprob
from finetune_kit.errors import ParameterError, RequestRefusedError
from finetune_kit.hosts import host_profile

MESSAGES = [[{"role": "user", "content": "Hi"}]]
CHAT: Any = {
    "choices": [
        {
            "message": {"role": "assistant", "content": "né"},
            "finish_reason": "stop",
            "logprobs": {
                "content": [
                    {
                        "token": "n",
                        "logprob": -0.5,
                        "bytes": [110],
                        "top_logprobs": [
                            {"token": "m", "logprob": -2.0, "bytes": [109]},
                            {"token": "n", "logprob": -0.5, "bytes": [110]},
                        ],
                    },
                    {"token": "é", "logprob": -1.0, "bytes": None, "top_logprobs": []},
                ]
            },
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
COMPLETION: Any = {
    "choices": [
        {
            "text": "ab",
            "finish_reason": "stop",
            "logprobs": {
                "tokens": ["a", "b"],
                "token_logprobs": [-0.1, None],
                "top_logprobs": [{"x": -3.0, "a": -0.1}, None],
                "text_offset": [0, 1],
            },
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


def body(call: Call) -> dict[str, Any]:
    return dict(call.ask(Habits()).body or {})


@pytest.mark.parametrize("most", [0, 3])
def test_a_chat_is_asked_as_openai_names_it(most: int) -> None:
    (call,) = chats_asked("m", MESSAGES, Sampling(top_logprobs=most), host_profile("openai"))
    sent = body(call)
    assert sent["logprobs"] is True
    assert sent.get("top_logprobs", 0) == most


def test_a_host_that_counts_them_is_asked_by_number() -> None:
    (call,) = chats_asked("m", MESSAGES, Sampling(top_logprobs=3), host_profile("together"))
    assert body(call)["logprobs"] == 3
    assert "top_logprobs" not in body(call)


def test_a_completion_is_asked_by_number() -> None:
    (call,) = prompts_asked("m", ["Hi"], Sampling(top_logprobs=2))
    assert body(call)["logprobs"] == 2


def test_nothing_is_asked_where_nobody_wants_it() -> None:
    for call in (
        *prompts_asked("m", ["Hi"], Sampling()),
        *chats_asked("m", MESSAGES, Sampling(), host_profile("openai")),
    ):
        assert not [key for key in body(call) if "logprobs" in key]
        assert call.read(CHAT if call.messages else COMPLETION).logprobs is None


def test_a_chats_tokens_are_read_the_likeliest_first() -> None:
    (call,) = chats_asked("m", MESSAGES, Sampling(top_logprobs=2), host_profile("openai"))
    assert call.read(CHAT).logprobs == (
        TokenLogprob("n", -0.5, b"n", (TopLogprob("n", -0.5, b"n"), TopLogprob("m", -2.0, b"m"))),
        TokenLogprob("é", -1.0, b""),
    )


def test_a_completions_tokens_are_read_the_likeliest_first() -> None:
    (call,) = prompts_asked("m", ["Hi"], Sampling(top_logprobs=1))
    assert call.read(COMPLETION).logprobs == (
        TokenLogprob("a", -0.1, b"", (TopLogprob("a", -0.1, b""),)),
        TokenLogprob("b", -9999.0, b""),
    )


def test_an_answer_without_what_was_asked_for_is_an_error() -> None:
    silent: Any = {**COMPLETION, "choices": [{**COMPLETION["choices"][0], "logprobs": None}]}
    (call,) = prompts_asked("m", ["Hi"], Sampling(top_logprobs=1))
    with pytest.raises(RequestRefusedError, match="without the log-probabilities"):
        call.read(silent)
    assert replace(call, sampling=Sampling()).read(silent).text == "ab"


@pytest.mark.parametrize(
    "told", [{"content": [None, 5, {"token": 3, "logprob": "x", "bytes": [1, 999]}]}, {"tokens": 7}]
)
def test_odd_answers_are_read_safely(told: Any) -> None:
    found = logprobs_of({"choices": [{"logprobs": told}]}, 3)
    assert found is not None
    assert all(one.utf8 == b"" for one in found)


def test_more_than_a_host_tells_is_refused_before_it_is_asked() -> None:
    with pytest.raises(ParameterError, match="at most 5"):
        prompts_asked("m", ["Hi"], Sampling(top_logprobs=6))
    with pytest.raises(ParameterError, match="at most 5"):
        chats_asked("m", MESSAGES, Sampling(top_logprobs=6), host_profile("together"))
