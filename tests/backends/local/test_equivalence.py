"""Packed rows, with a shared beginning or not, train as one plain padded batch does through transformers' attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM

from finetune_kit.backends.local import attention
from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.forward import Tally, forward
from finetune_kit.backends.local.fused import fuse
from finetune_kit.backends.local.models import Loaded, add_adapter
from finetune_kit.backends.local.packing import Encoded, pack
from finetune_kit.backends.local.trainer import Settings, Trainer
from tests.backends.local.test_trainer import Recorder, adapter_of

RELATIVE, ABSOLUTE = 2e-4, 2e-6
"""In float32: sums in another order differ by so much."""
TYPES = sorted(attention.PACKABLE_MODEL_TYPES)
SYSTEM = tuple(range(40, 75))
"""A beginning that is worth sharing among three examples."""
OTHER_SYSTEM = (*SYSTEM[:20], *range(10, 60))


@cache
def tiny(kind: str) -> Loaded:
    """A random model of two layers with grouped-query attention, and an adapter that is no longer zero."""
    loaded = adapted(kind, attention.NAME)
    fuse(loaded.model)
    return loaded


def adapted(kind: str, implementation: str) -> Loaded:
    """The same numbers every time."""
    attention.register()
    config = AutoConfig.for_model(
        kind,
        vocab_size=80,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
    )
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation=implementation)
    loaded = Loaded(model, Encoder(None, 512), torch.device("cpu"), torch.float32, True, 512)
    add_adapter(loaded, seed=1)
    chance = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in trained(loaded).values():
            weight.copy_(torch.randn(weight.shape, generator=chance) * 0.1)
    return loaded


def trained(loaded: Loaded) -> dict[str, torch.nn.Parameter]:
    return {name: weight for name, weight in loaded.model.named_parameters() if weight.requires_grad}


def plain(kind: str) -> Any:
    """The same model, computing as transformers and peft do by themselves."""
    return adapted(kind, "eager").model


def plain_loss(model: Any, examples: Sequence[Encoded]) -> torch.Tensor:
    """The weighted mean of all cross-entropies, of one batch padded on the right."""
    longest = max(len(example.tokens) for example in examples)
    tokens = torch.tensor([[*e.tokens, *[0] * (longest - len(e.tokens))] for e in examples])
    weights = torch.tensor([[*e.weights, *[0.0] * (longest - len(e.weights))] for e in examples])
    mask = torch.tensor([[1] * len(e.tokens) + [0] * (longest - len(e.tokens)) for e in examples])
    logits = model(input_ids=tokens, attention_mask=mask).logits
    each = functional.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    return (each * weights[:, 1:]).sum() / weights[:, 1:].sum()


@dataclass(frozen=True)
class Shape:
    """How `pack` is called."""

    row_tokens: int
    share: bool


def packed_loss(loaded: Loaded, examples: Sequence[Encoded], shape: Shape) -> Tally:
    """The gradients are in the model afterwards."""
    whole = Tally()
    weight = sum(sum(example.weights) for example in examples)
    for row in pack(examples, row_tokens=shape.row_tokens, share=shape.share):
        whole.add(forward(loaded, row, backward_weight=weight))
    return whole


@st.composite
def batches(draw: st.DrawFn) -> list[Encoded]:
    """Groups of examples behind beginnings of any length, some of them the same, with weights that differ."""
    beginnings = draw(st.lists(st.sampled_from([(), SYSTEM, OTHER_SYSTEM, SYSTEM[:7]]), min_size=1, max_size=3))
    made: list[Encoded] = []
    for beginning in beginnings:
        for _ in range(draw(st.integers(1, 5))):
            own = draw(st.lists(st.integers(1, 79), min_size=2, max_size=40))
            tokens = (*beginning, *own)
            answer = draw(st.integers(1, len(own)))
            prompt_weight = draw(st.sampled_from([0.0, 0.01, 0.5, 1.0]))
            prompt = len(tokens) - answer
            weights = [prompt_weight] * prompt + [draw(st.sampled_from([1.0, 1.0, 0.0]))] * answer
            made.append(Encoded(tokens, (0.0, *weights[1:])))
    longest = (*SYSTEM, 1, 2)
    return [*made, Encoded(longest, (0.0, *[1.0] * (len(longest) - 1)))]


@pytest.mark.parametrize("kind", TYPES)
@given(examples=batches(), shape=st.builds(Shape, st.sampled_from([32, 128, 1024]), share=st.booleans()))
@settings(max_examples=50, deadline=None)
def test_losses_and_gradients_are_those_of_a_plain_padded_batch(
    kind: str, examples: list[Encoded], shape: Shape
) -> None:
    loaded = tiny(kind)
    model = plain(kind)
    expected = plain_loss(model, examples)
    expected.backward()
    loaded.model.zero_grad()
    whole = packed_loss(loaded, examples, shape)
    assert whole.loss_sum / whole.weight == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(trained(loaded)[name].grad, weight.grad, rtol=RELATIVE, atol=ABSOLUTE, msg=name)


@pytest.mark.parametrize("scores", [0, attention._SHORT_SCORES])
def test_both_kernels_compute_the_same(scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_SHORT_SCORES", scores)
    loaded = tiny("llama")
    examples = [Encoded((*SYSTEM, *range(1, 5 + n)), (0.0,) * len(SYSTEM) + (1.0,) * (4 + n)) for n in range(6)]
    model = plain("llama")
    expected = plain_loss(model, examples)
    expected.backward()
    loaded.model.zero_grad()
    whole = packed_loss(loaded, examples, Shape(1024, share=True))
    assert whole.loss_sum / whole.weight == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(trained(loaded)[name].grad, weight.grad, rtol=RELATIVE, atol=ABSOLUTE)


@pytest.mark.parametrize("kind", TYPES)
def test_the_adapter_after_some_steps_is_that_of_plain_training(kind: str, tmp_path: Path) -> None:
    chance = torch.Generator().manual_seed(5)
    own = [torch.randint(1, 80, (3 + n % 9,), generator=chance).tolist() for n in range(24)]
    examples = [Encoded((*SYSTEM, *tokens), (0.0, *[0.01] * (len(SYSTEM) - 1), *[1.0] * len(tokens))) for tokens in own]
    loaded = adapted(kind, attention.NAME)
    model = plain(kind)
    trainer = Trainer(
        loaded=loaded,
        training=examples,
        validation=[],
        settings=Settings(n_epochs=3, batch_size=8, learning_rate_multiplier=0.1, seed=0),
        state_folder=tmp_path,
    )
    assert [row.prefix for row in pack(examples[:8])] == [len(SYSTEM)]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, weight_decay=0.0)
    losses: list[float] = []
    for number, batch in trainer._batches():
        loss = plain_loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.param_groups[0]["lr"] = trainer._learning_rate(number)
        optimizer.step()
        losses.append(float(loss.detach()))
    watcher = Recorder()
    trainer.run(watcher)
    assert watcher.losses == pytest.approx(losses, rel=1e-4)
    expected = torch.cat([weight.detach().flatten() for weight in weights])
    torch.testing.assert_close(adapter_of(trainer), expected, rtol=1e-3, atol=2e-5)
