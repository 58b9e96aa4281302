"""What a model in memory answers is what transformers computes, however the engine comes by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.generate import Answering, answering, generate
from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.protocol import Generation, Sampling

GREEDY = Sampling(max_tokens=16)
WITH_LOGPROBS = Sampling(max_tokens=10, top_logprobs=4)
OWN_CACHE = ["llama", "qwen2", "qwen3"]
PADDED = ["mistral", "gpt2"]
KINDS = [*OWN_CACHE, *PADDED]
BEGINNING = list(range(40, 100))
PROMPTS = [[5, 6, 7], [9], [*BEGINNING, 8, 9], [*BEGINNING, 17], [11] * 30, [*range(100, 130)]]


@pytest.fixture(scope="module")
def make(tiny_base: Path) -> Callable[[str], Loaded]:
    """A random model of a kind, in float32, with the tiny base's tokenizer; the same numbers every time."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)

    def made(kind: str) -> Loaded:
        if kind == "gpt2":
            sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
        else:
            sizes = {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "head_dim": 8,
                "max_position_embeddings": 512,
            }
        config = AutoConfig.for_model(
            kind, vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, tie_word_embeddings=False, **sizes
        )
        torch.manual_seed(0)
        model: Any = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.dim() == 2:
                    weight.normal_(std=0.2)
        return Loaded(model, Encoder(tokenizer, 512), torch.device("cpu"), torch.float32, False, 512)

    return made


def by_transformers(loaded: Loaded, prompt: list[int], tokens: int) -> list[int]:
    with torch.inference_mode():
        out = loaded.model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=2,
            pad_token_id=2,
        )
    return [token for token in out[0, len(prompt) :].tolist() if token != 2]


def text(loaded: Loaded, tokens: list[int]) -> str:
    return str(loaded.encoder.tokenizer.decode(tokens, skip_special_tokens=True))


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_is_what_transformers_writes_alone_and_in_a_batch(kind: str, make: Callable[[str], Loaded]) -> None:
    loaded = make(kind)
    expected = [text(loaded, by_transformers(loaded, prompt, GREEDY.max_tokens)) for prompt in PROMPTS]
    assert len(set(expected)) == len(PROMPTS)
    assert [one.text for one in generate(loaded, PROMPTS, GREEDY)] == expected
    assert [generate(loaded, [prompt], GREEDY)[0].text for prompt in PROMPTS] == expected
    with answering(loaded) as model:
        assert (model.served.decoder is not None) == (kind in OWN_CACHE)


@pytest.mark.parametrize("kind", KINDS)
def test_logprobs_are_those_of_one_full_forward_pass(kind: str, make: Callable[[str], Loaded]) -> None:
    loaded = make(kind)
    tokens = [by_transformers(loaded, prompt, WITH_LOGPROBS.max_tokens) for prompt in PROMPTS]
    answers = generate(loaded, PROMPTS, WITH_LOGPROBS)
    for prompt, own, answer in zip(PROMPTS, tokens, answers, strict=True):
        assert answer.logprobs is not None
        with torch.inference_mode():
            logits = loaded.model(input_ids=torch.tensor([[*prompt, *own]])).logits[0]
        expected = logits[len(prompt) - 1 :].log_softmax(-1)
        assert len(answer.logprobs) == len(own) > 0
        for line, token, told in zip(expected, own, answer.logprobs, strict=False):
            assert told.logprob == pytest.approx(float(line[token]), abs=1e-4)
            best = line.topk(4)
            assert [one.logprob for one in told.top_logprobs] == pytest.approx(best.values.tolist(), abs=1e-4)
            assert [one.token for one in told.top_logprobs] == [
                loaded.encoder.tokenizer.decode([one]) for one in best.indices.tolist()
            ]
            assert math.fsum(math.exp(one.logprob) for one in told.top_logprobs) <= 1 + 1e-5


@pytest.mark.parametrize("kind", OWN_CACHE)
def test_a_beginning_that_was_kept_gives_what_reading_it_again_gives(kind: str, make: Callable[[str], Loaded]) -> None:
    loaded = make(kind)
    asked = [[*BEGINNING, *range(number, number + 5)] for number in range(100, 112)]
    expected = [generate(loaded, [prompt], WITH_LOGPROBS)[0] for prompt in asked]
    with answering(loaded) as model:
        together = model.generate(asked[:6], WITH_LOGPROBS)
        assert model.served.prefixes.size_bytes > 0
        assert model.served.prefixes.longest(tuple(asked[7]), None) is not None
        later = model.generate(asked[6:], WITH_LOGPROBS)
        again = [model.generate([prompt], WITH_LOGPROBS)[0] for prompt in asked]
    for found in ([*together, *later], again):
        assert [one.text for one in found] == [one.text for one in expected]
        assert logprobs(found) == pytest.approx(logprobs(expected), abs=1e-4)


def logprobs(answers: list[Generation]) -> list[float]:
    return [told.logprob for answer in answers for told in answer.logprobs or ()]


@pytest.fixture(scope="module")
def talker(make: Callable[[str], Loaded]) -> Iterator[Answering]:
    with answering(make("llama")) as model:
        yield model


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_stop_sequence_ends_the_text_wherever_its_tokens_part(data: st.DataObject, talker: Answering) -> None:
    prompt = data.draw(st.sampled_from(PROMPTS))
    whole = talker.generate([prompt], Sampling(max_tokens=40))[0].text
    start = data.draw(st.integers(0, max(0, len(whole) - 2)))
    length = data.draw(st.integers(1, 8))
    stop = whole[start : start + length]
    (one,) = talker.generate([prompt], Sampling(max_tokens=40, stop=(stop,)))
    assert one.text == whole[: whole.index(stop)]
    assert one.finish_reason == "stop"
    assert "".join(talker.stream(prompt, Sampling(max_tokens=40, stop=(stop,)))) == one.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_text_alone_and_among_others(kind: str, make: Callable[[str], Loaded]) -> None:
    loaded = make(kind)
    warm = Sampling(max_tokens=16, temperature=1.0, seed=11)
    (alone,) = generate(loaded, [PROMPTS[0]], warm)
    assert generate(loaded, PROMPTS, warm)[0].text == alone.text
    assert generate(loaded, [PROMPTS[0]], warm) == [alone]
    assert generate(loaded, [PROMPTS[0]], Sampling(max_tokens=16, temperature=1.0, seed=12)) != [alone]
