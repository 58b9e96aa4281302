"""What a model writes does not depend on who is answered beside it, and ends where it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune_kit.backends.local.batch import MOST_ROWS
from finetune_kit.backends.local.generate import generate
from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.protocol import Sampling
from finetune_kit.errors import EngineError
from tests.tiny import CONTEXT_TOKENS, load_talkative

TEXTS = ["a", "Where is my parcel?", "今天晚上吃什么好呢?", "x y z " * 20, "I want my money back", "?"]
GREEDY = Sampling(max_tokens=12)
WARM = Sampling(max_tokens=12, temperature=1.0, seed=7)

pytestmark = pytest.mark.filterwarnings("error::FutureWarning")  # what transformers is about to drop


@pytest.fixture(scope="module")
def loaded(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load_talkative(tiny_base, tmp_path_factory.mktemp("home"))


def prompts(loaded: Loaded, texts: list[str]) -> list[list[int]]:
    return [loaded.encoder.prompt(text) for text in texts]


def test_greedy_is_what_transformers_itself_writes(loaded: Loaded) -> None:
    for prompt in prompts(loaded, TEXTS):
        (mine,) = generate(loaded, [prompt], GREEDY)
        with torch.no_grad():
            out = loaded.model.generate(
                torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=12, do_sample=False
            )
        assert mine.text == loaded.encoder.tokenizer.decode(out[0, len(prompt) :], skip_special_tokens=True)


def test_a_batch_is_written_as_one_at_a_time(loaded: Loaded) -> None:
    asked = prompts(loaded, TEXTS * 12)
    assert len(asked) > MOST_ROWS
    assert generate(loaded, asked, GREEDY) == [generate(loaded, [prompt], GREEDY)[0] for prompt in asked]


def test_no_prompts_get_no_answers(loaded: Loaded) -> None:
    assert generate(loaded, [], GREEDY) == []


def test_length_ends_it_and_is_told(loaded: Loaded) -> None:
    (one,) = generate(loaded, prompts(loaded, ["Where"]), Sampling(max_tokens=3))
    assert (one.finish_reason, one.completion_tokens) == ("length", 3)
    assert one.prompt_tokens == len(loaded.encoder.text("Where"))


def test_the_end_token_ends_it(loaded: Loaded) -> None:
    silent = replace(loaded, encoder=loaded.encoder)
    prompt = loaded.encoder.prompt("Where")
    with torch.no_grad():
        likeliest = int(loaded.model(input_ids=torch.tensor([prompt])).logits[0, -1].argmax())
    tokenizer, was = silent.encoder.tokenizer, silent.encoder.tokenizer.eos_token
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(likeliest)
    try:
        (one,) = generate(silent, [prompt], GREEDY)
    finally:
        tokenizer.eos_token = was
    assert (one.text, one.finish_reason, one.completion_tokens) == ("", "stop", 0)


def test_stop_sequences_are_found_across_tokens_and_cut_off(loaded: Loaded) -> None:
    prompt = loaded.encoder.prompt("Where is my parcel?")
    (whole,) = generate(loaded, [prompt], Sampling(max_tokens=40))
    for start in range(0, len(whole.text) - 5, 3):
        stop = whole.text[start : start + 4]
        (one,) = generate(loaded, [prompt], Sampling(max_tokens=40, stop=("never said", stop)))
        assert one.text == whole.text[: whole.text.index(stop)]
        assert one.finish_reason == "stop"
        assert one.completion_tokens < whole.completion_tokens or whole.text.endswith(stop)


def test_who_stops_early_leaves_the_others_as_they_were(loaded: Loaded) -> None:
    asked = prompts(loaded, TEXTS)
    alone = [generate(loaded, [prompt], replace(GREEDY, stop=("e", "a")))[0] for prompt in asked]
    together = generate(loaded, asked, replace(GREEDY, stop=("e", "a")))
    assert together == alone
    assert len({one.completion_tokens for one in together}) > 1


def test_a_sample_repeats_by_its_seed(loaded: Loaded) -> None:
    asked = prompts(loaded, TEXTS)
    assert generate(loaded, asked, WARM) == generate(loaded, asked, WARM)
    assert generate(loaded, asked, WARM) != generate(loaded, asked, replace(WARM, seed=8))


def test_a_sample_does_not_depend_on_its_neighbours(loaded: Loaded) -> None:
    first, second = prompts(loaded, ["Where is it?", "I want my money back"])
    others = prompts(loaded, ["x y z " * 20, "?"])
    together = generate(loaded, [first, second, *others], WARM)
    assert together[:2] == generate(loaded, [first, second], WARM)


def test_the_same_prompt_twice_gives_two_samples(loaded: Loaded) -> None:
    one, other = generate(loaded, prompts(loaded, ["Where", "Where"]), WARM)
    assert one != other


def test_without_a_seed_samples_differ(loaded: Loaded) -> None:
    asked = prompts(loaded, ["Where"])
    answers = {generate(loaded, asked, replace(WARM, seed=None))[0].text for _ in range(5)}
    assert len(answers) > 1


@pytest.mark.parametrize("seed", [-1, 0, 2**64, 10**30])
def test_any_whole_number_is_a_seed(seed: int, loaded: Loaded) -> None:
    assert generate(loaded, prompts(loaded, ["a"]), replace(WARM, seed=seed))


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 0.0), (1.0, 1e-9), (1e-30, 1.0)])
def test_the_narrowest_sampling_is_greedy(temperature: float, top_p: float, loaded: Loaded) -> None:
    asked = prompts(loaded, TEXTS)
    assert generate(loaded, asked, replace(WARM, temperature=temperature, top_p=top_p)) == generate(
        loaded, asked, GREEDY
    )


def test_top_p_takes_only_the_likeliest(loaded: Loaded) -> None:
    prompt = loaded.encoder.prompt("Where")
    with torch.no_grad():
        chances = loaded.model(input_ids=torch.tensor([prompt])).logits[0, -1].softmax(-1).sort(descending=True)
    kept = int((chances.values.cumsum(0) < 0.5).sum()) + 1
    allowed = {loaded.encoder.tokenizer.decode([token]) for token in chances.indices[:kept].tolist()}
    sampling = Sampling(max_tokens=1, temperature=1.0, top_p=0.5, seed=0)
    assert {one.text for one in generate(loaded, [prompt] * 60, sampling)} <= allowed


def test_penalties_keep_it_from_repeating(loaded: Loaded) -> None:
    asked = prompts(loaded, TEXTS)
    for sampling in (replace(GREEDY, frequency_penalty=1e9), replace(GREEDY, presence_penalty=1e9)):
        batch = generate(loaded, asked, sampling)
        assert batch == [generate(loaded, [prompt], sampling)[0] for prompt in asked]
        assert batch != generate(loaded, asked, GREEDY)


def test_a_prompt_longer_than_the_model_sees_is_refused(loaded: Loaded) -> None:
    with pytest.raises(
        EngineError, match=rf"a prompt has {CONTEXT_TOKENS} tokens, and the model sees {CONTEXT_TOKENS}"
    ):
        generate(loaded, [[5] * CONTEXT_TOKENS], GREEDY)


def test_writing_ends_where_the_models_sight_ends(loaded: Loaded) -> None:
    (one,) = generate(loaded, [[5] * (CONTEXT_TOKENS - 4)], Sampling(max_tokens=50))
    assert (one.finish_reason, one.completion_tokens) == ("length", 4)
