"""Ranking by one pass over a prefix tree gives what token-by-token probabilities give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune_kit.backends.local import tree_by_levels
from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.local.ranking import rank
from finetune_kit.errors import EngineError, ParameterError
from tests.tiny import CONTEXT_TOKENS, load_talkative

LABELS = [" track", " track_order", " track_orders", " refund", " re", "今天", " delivery_cost", ""]
PROMPTS = ["Where is my parcel? ->", "a ->", "今天晚上吃什么好呢? ->", "I want my money back -> " * 5]
END = 2


@pytest.fixture(scope="module")
def loaded(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load_talkative(tiny_base, tmp_path_factory.mktemp("home"))


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every branch is followed, however improbable."""
    monkeypatch.setattr(tree_by_levels, "NEGLIGIBLE", 0.0)


def ended(loaded: Loaded, labels: Sequence[str]) -> list[list[int]]:
    return [[*loaded.encoder.text(label), END] for label in labels]


def by_hand(loaded: Loaded, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> list[float]:
    """One forward pass for every token of every completion, its probability shared among what may follow there."""
    chances: list[float] = []
    for completion in completions:
        chance = 1.0
        for place, token in enumerate(completion):
            before = list(completion[:place])
            allowed = sorted({other[place] for other in completions if list(other[:place]) == before})
            with torch.no_grad():
                logits = loaded.model(input_ids=torch.tensor([[*prompt, *before]])).logits[0, -1]
            chance *= float(logits[allowed].softmax(-1)[allowed.index(token)])
        chances.append(chance)
    return chances


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("text", PROMPTS)
def test_probabilities_are_those_of_writing_token_by_token(text: str, loaded: Loaded) -> None:
    prompt, completions = loaded.encoder.prompt(text), ended(loaded, LABELS)
    (ranked,) = rank(loaded, [prompt], completions)
    assert ranked == pytest.approx(by_hand(loaded, prompt, completions), rel=1e-4)
    assert math.fsum(ranked) == pytest.approx(1.0, abs=1e-6)


COMPLETIONS = st.lists(
    st.lists(st.integers(3, 6), max_size=4).map(lambda tokens: (*tokens, END)), min_size=1, max_size=12, unique=True
)


@pytest.mark.usefixtures("exact")
@given(completions=COMPLETIONS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_set_of_completions_adds_up_to_1_as_by_hand(completions: list[tuple[int, ...]], loaded: Loaded) -> None:
    prompt = loaded.encoder.prompt("Where")
    (ranked,) = rank(loaded, [prompt], completions)
    assert math.fsum(ranked) == pytest.approx(1.0, abs=1e-6)
    assert ranked == pytest.approx(by_hand(loaded, prompt, completions), rel=1e-3, abs=1e-9)


@pytest.mark.usefixtures("exact")
def test_a_batch_is_ranked_as_one_at_a_time(loaded: Loaded) -> None:
    prompts = [loaded.encoder.prompt(text) for text in PROMPTS * 10]
    completions = ended(loaded, LABELS)
    together = rank(loaded, prompts, completions)
    for prompt, ranked in zip(prompts, together, strict=True):
        assert ranked == pytest.approx(rank(loaded, [prompt], completions)[0], rel=1e-4)


def test_a_choice_of_one_is_certain(loaded: Loaded) -> None:
    assert rank(loaded, [[5, 6]], [[7, END]]) == [[1.0]]


def test_no_prompts_get_no_ranks(loaded: Loaded) -> None:
    assert rank(loaded, [], ended(loaded, LABELS)) == []


def test_many_labels_go_through_in_smaller_batches(loaded: Loaded) -> None:
    completions = [[3 + a, 3 + b, 3 + c, END] for a in range(6) for b in range(6) for c in range(6)]
    for ranked in rank(loaded, [[5] * 300] * 40, completions):
        assert math.fsum(ranked) == pytest.approx(1.0, abs=1e-5)


def test_completions_that_are_the_same_to_the_model_are_refused(loaded: Loaded) -> None:
    with pytest.raises(ParameterError, match="same to the model"):
        rank(loaded, [[5]], [[7, END], [7, END]])


def test_a_prompt_that_leaves_no_room_is_refused(loaded: Loaded) -> None:
    with pytest.raises(EngineError, match="Shorten the prompt"):
        rank(loaded, [[5] * CONTEXT_TOKENS], ended(loaded, LABELS))


def test_branches_that_nobody_takes_are_left_out_and_cost_a_millionth_at_most(loaded: Loaded) -> None:
    prompt, completions = loaded.encoder.prompt(PROMPTS[3]), ended(loaded, LABELS)
    exact = by_hand(loaded, prompt, completions)
    assert min(exact) < 1e-9
    (ranked,) = rank(loaded, [prompt], completions)
    assert ranked == pytest.approx(exact, abs=tree_by_levels.NEGLIGIBLE)
    assert math.fsum(ranked) == pytest.approx(1.0, abs=1e-6)
