"""Preference training is DPO: losses and gradients of the plain formula, and an effect on what the model prefers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from finetune_kit import Dataset, LocalBackend
from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.models import Loaded, add_adapter
from finetune_kit.backends.local.packing import Encoded
from finetune_kit.backends.local.preferences import Pair, Pairs, margins, preference_loss
from finetune_kit.backends.local.trainer import Settings, Stopped, Trainer
from finetune_kit.errors import EngineError
from tests.backends.local.test_equivalence import ABSOLUTE, RELATIVE, adapted, plain, tiny, trained
from tests.backends.local.test_trainer import Recorder, adapter_of, examples
from tests.tiny import load_tiny

SYSTEM = tuple(range(3, 78))
"""Longer than what is worth sharing."""


def said(model: Any, example: Encoded) -> torch.Tensor:
    """log p of the tokens that count, in the plainest way."""
    logits = model(input_ids=torch.tensor([example.tokens])).logits[0]
    each = functional.log_softmax(logits[:-1], -1).gather(1, torch.tensor(example.tokens[1:])[:, None]).squeeze(1)
    return (each * torch.tensor(example.weights[1:])).sum()


def plain_dpo(model: Any, pairs: Sequence[Pair], beta: float) -> torch.Tensor:
    """Equation 7 of the paper, and TRL's `sigmoid` loss: the mean over the pairs."""
    losses = [
        -functional.logsigmoid(beta * (said(model, one.preferred) - said(model, one.other) - one.reference))
        for one in pairs
    ]
    return torch.stack(losses).mean()


@st.composite
def batches(draw: st.DrawFn) -> list[Pair]:
    """Pairs whose questions are short, long, or the same, and whose answers may begin alike."""
    made: list[Pair] = []
    for _ in range(draw(st.integers(1, 6))):
        asked = (*draw(st.sampled_from([(), SYSTEM])), *draw(st.lists(st.integers(1, 79), min_size=1, max_size=6)))
        alike = draw(st.lists(st.integers(1, 79), max_size=5))
        one, other = ([*alike, *draw(st.lists(st.integers(1, 79), min_size=1, max_size=30))] for _ in (0, 1))
        preferred, less = (
            Encoded((*asked, *answer), (0.0,) * len(asked) + (1.0,) * len(answer)) for answer in (one, other)
        )
        made.append(Pair(preferred, less, draw(st.floats(-3, 3))))
    return made


@pytest.mark.parametrize("way", ["packed", "one by one"])
@given(pairs=batches(), beta=st.sampled_from([0.01, 0.1, 2.0]))
@settings(max_examples=40, deadline=None)
def test_losses_and_gradients_are_those_of_the_formula(way: str, pairs: list[Pair], beta: float) -> None:
    loaded: Loaded = tiny("llama") if way == "packed" else replace(adapted("llama", "sdpa"), packable=False)
    model = plain("llama")
    expected = plain_dpo(model, pairs, beta)
    expected.backward()
    loaded.model.zero_grad()
    whole = preference_loss(loaded, pairs, beta, backward_count=len(pairs))
    assert whole.count == len(pairs)
    assert whole.loss_sum / whole.weight == pytest.approx(float(expected.detach()), rel=1e-4, abs=1e-6)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(trained(loaded)[name].grad, weight.grad, rtol=RELATIVE, atol=5 * ABSOLUTE)


@given(pairs=batches())
@settings(max_examples=40, deadline=None)
def test_margins_are_in_the_order_of_the_pairs(pairs: list[Pair]) -> None:
    model = plain("llama")
    with torch.no_grad():
        expected = [float(said(model, one.preferred) - said(model, one.other)) for one in pairs]
    assert margins(tiny("llama"), pairs) == pytest.approx(expected, abs=1e-3)


def pairs_of(count: int) -> Pairs:
    """Answers of random tokens, every question with two of them."""
    made: list[Encoded] = []
    for one, other in zip(examples(count), examples(count + 1), strict=False):
        asked = one.tokens[:4]
        answers = (one.tokens[4:] or (9,), other.tokens[4:] or (8,))
        made += [Encoded((*asked, *answer), (0.0,) * 4 + (1.0,) * len(answer)) for answer in answers]
    return Pairs(made)


def trainer_on(base: Path, home: Path, *, validation: Pairs | tuple[()] = ()) -> Trainer:
    loaded = load_tiny(base, home, packed=True)
    add_adapter(loaded, seed=3)
    how = Settings(n_epochs=3, batch_size=4, learning_rate_multiplier=0.5, seed=3, beta=0.1)
    return Trainer(
        loaded=loaded, training=pairs_of(16), validation=validation, settings=how, state_folder=home / "state"
    )


def test_at_the_start_nothing_is_preferred_beyond_the_reference(tiny_base: Path, tmp_path: Path) -> None:
    watcher = Recorder()
    trainer_on(tiny_base, tmp_path).run(watcher)
    first, last = watcher.steps[0], watcher.steps[-1]
    assert first.loss == pytest.approx(0.693147, abs=1e-5)
    assert first.margin == pytest.approx(0, abs=1e-5)
    assert last.loss < first.loss
    assert last.margin > 0.01
    assert last.accuracy == 1.0


def test_the_preferred_answers_become_likelier_than_the_others(tiny_base: Path, tmp_path: Path) -> None:
    trainer = trainer_on(tiny_base, tmp_path, validation=pairs_of(6))
    pairs = pairs_of(16)[:]
    before = margins(trainer.loaded, pairs)
    trainer.run(Recorder())
    after = margins(trainer.loaded, pairs)
    assert all(late > early for early, late in zip(before, after, strict=True))
    assert trainer.last_validation is not None
    assert trainer.last_validation.margin != 0


def test_a_resumed_run_keeps_the_reference_of_its_start(tiny_base: Path, tmp_path: Path) -> None:
    whole, watcher = trainer_on(tiny_base, tmp_path / "whole", validation=pairs_of(6)), Recorder()
    whole.run(watcher)
    stopped, before = trainer_on(tiny_base, tmp_path, validation=pairs_of(6)), Recorder(stop_after=5)
    with pytest.raises(Stopped):
        stopped.run(before)
    stopped.save_state()
    resumed, after = trainer_on(tiny_base, tmp_path, validation=pairs_of(6)), Recorder()
    assert resumed.load_state()
    resumed.run(after)
    assert before.losses + after.losses == watcher.losses
    assert torch.equal(adapter_of(resumed), adapter_of(whole))
    assert resumed.last_validation == whole.last_validation


def test_a_wish_is_heard_while_the_reference_is_computed(tiny_base: Path, tmp_path: Path) -> None:
    class Impatient(Recorder):
        def wished(self) -> str:
            return "cancel"

    with pytest.raises(Stopped, match="cancel"):
        trainer_on(tiny_base, tmp_path).run(Impatient())


def say(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def test_both_answers_of_a_row_stand_behind_its_question(tiny_base: Path, tmp_path: Path) -> None:
    encoder = load_tiny(tiny_base, tmp_path).encoder
    asked = [say("user", "one"), say("assistant", "two"), say("user", "three")]
    row = {
        "input": {"messages": asked},
        "preferred_output": [say("assistant", "good")],
        "non_preferred_output": [say("assistant", "bad")],
    }
    preferred, other = encoder.rows(row)
    pair = Pair(preferred, other)
    assert list(pair.asked) == encoder.conversation(asked, ask=True)
    for encoded, text in ((pair.preferred, "good"), (pair.other, "bad")):
        counted = [token for token, weight in zip(encoded.tokens, encoded.weights, strict=True) if weight]
        assert encoder.tokenizer.decode(counted) == f"{text}<|im_end|>\n"
        assert set(encoded.weights) == {0.0, 1.0}
    with pytest.raises(EngineError, match="both of its answers are the same"):
        encoder.rows({**row, "non_preferred_output": row["preferred_output"]})


def test_a_job_learns_from_pairs_and_tells_rewards(tiny_base: Path, tmp_path: Path) -> None:
    backend = LocalBackend(home=tmp_path / "home", base=str(tiny_base))
    data = Dataset.from_records(
        {"prompt": f"Where is parcel {n}?", "chosen": "It comes tomorrow.", "rejected": "No idea."} for n in range(20)
    )
    job = data.split(0.8).train("davinci", backend=backend, method="dpo", beta=0.2, learning_rate_multiplier=0.3).wait()
    card = job.card
    assert (card.method, card.kind, card.hyperparameters.beta) == ("dpo", "preference", 0.2)
    assert card.scores["full_valid_reward_accuracy"] == 1.0
    assert card.scores["full_valid_reward_margin"] > 0
    told = [event.data for event in job.events() if event.type == "metrics"]
    assert {"train_loss", "train_reward_accuracy", "train_reward_margin"} <= set(told[0])
    rows = job.results().metrics
    assert rows[-1].train_loss is not None
    assert rows[-1].train_loss < 0.69
    assert rows[-1].more["valid_reward_margin"] == pytest.approx(card.scores["full_valid_reward_margin"], abs=1e-5)
    good, bad = backend.rank_chat(
        job.model().name, [[say("user", "Where is parcel 3?")]], ["It comes tomorrow.", "No idea."]
    )[0]
    first_good, first_bad = backend.rank_chat(
        str(tiny_base), [[say("user", "Where is parcel 3?")]], ["It comes tomorrow.", "No idea."]
    )[0]
    assert good / bad > first_good / first_bad


def test_an_encoder_without_pairs_is_as_before(tiny_base: Path, tmp_path: Path) -> None:
    encoder: Encoder = load_tiny(tiny_base, tmp_path).encoder
    assert encoder.rows({"prompt": "a", "completion": "b"}) == (encoder.row({"prompt": "a", "completion": "b"}),)
