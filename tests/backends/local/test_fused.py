"""The fused parts compute what the plain ones do, and step aside where a module is no plain case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from finetune_kit.backends.local.device import quiet_threads
from finetune_kit.backends.local.fused import cross_entropy, fuse

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),  # of peft, about transformers
    pytest.mark.filterwarnings("ignore:`lora_bias=True` was passed"),
]
TOKENS = torch.randint(0, 50, (2, 9), generator=torch.Generator().manual_seed(0))


def model(**more: Any) -> Any:
    """A random model in float32 with an adapter that is not zero; the same every time."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        attention_bias=True,
    )
    made = get_peft_model(LlamaForCausalLM(config), LoraConfig(target_modules="all-linear", r=4, **more))
    with torch.no_grad():
        for weight in trained(made).values():
            weight.copy_(torch.randn(weight.shape) * 0.1)
    return made


def trained(made: Any) -> dict[str, Any]:
    return {name: weight for name, weight in made.named_parameters() if weight.requires_grad}


def gradients(made: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    made(input_ids=TOKENS, labels=TOKENS).loss.backward()
    return {name: weight.grad for name, weight in trained(made).items()}


def assert_same_gradients(plain: Any, fused: Any) -> None:
    expected = gradients(plain)
    for name, gradient in gradients(fused).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-7, msg=name)


@pytest.mark.parametrize(
    "more", [{}, {"lora_dropout": 0.3}, {"use_dora": True}, {"lora_bias": True}, {"use_rslora": True}], ids=str
)
def test_gradients_are_those_of_the_plain_modules(more: dict[str, Any]) -> None:
    plain, fused = model(**more), model(**more)
    fuse(fused)
    assert_same_gradients(plain, fused)


def test_weights_that_are_all_trained_go_through_the_plain_modules() -> None:
    plain, fused = model(), model()
    fuse(fused)
    for made in (plain, fused):
        made.requires_grad_(True)
    assert_same_gradients(plain, fused)


def test_an_adapter_that_is_switched_off_or_merged_is_heeded() -> None:
    plain, fused = model(), model()
    fuse(fused)
    for made in (plain, fused):
        made.eval()
    with torch.no_grad():
        with plain.disable_adapter(), fused.disable_adapter():
            torch.testing.assert_close(fused(input_ids=TOKENS).logits, plain(input_ids=TOKENS).logits)
        expected = plain(input_ids=TOKENS).logits
        torch.testing.assert_close(fused(input_ids=TOKENS).logits, expected)
        torch.testing.assert_close(fused.merge_and_unload()(input_ids=TOKENS).logits, expected)


def test_what_is_saved_is_loaded_by_plain_peft(tmp_path: Path) -> None:
    fused = model()
    fuse(fused)
    fused.save_pretrained(tmp_path)
    loaded: Any = PeftModel.from_pretrained(model().unload(), tmp_path)
    for name, weight in loaded.named_parameters():
        if "lora" in name:
            assert torch.equal(weight, dict(fused.named_parameters())[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loss_and_its_gradient_are_those_of_torch(dtype: torch.dtype) -> None:
    chance = torch.Generator().manual_seed(0)
    logits = (torch.randn(20, 300, generator=chance) * 5).to(dtype)
    tokens = torch.randint(0, 300, (20,), generator=chance)
    weights = torch.rand(20, generator=chance)
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    loss = cross_entropy(ours, tokens, weights)
    expected = (functional.cross_entropy(theirs.float(), tokens, reduction="none") * weights).sum()
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-6)
    torch.testing.assert_close(ours.detach(), logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loss_of_logits_far_from_zero_is_finite_and_right(dtype: torch.dtype) -> None:
    logits = torch.tensor([[3e4, 3e4, -3e4], [-3e4, -2.9e4, float("-inf")]], dtype=dtype)
    tokens, weights = torch.tensor([1, 1]), torch.tensor([1.0, 0.5])
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    cross_entropy(ours, tokens, weights).backward()
    (functional.cross_entropy(theirs.float(), tokens, reduction="none") * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(cross_entropy(logits, tokens, weights), torch.tensor(2.0).log())


def test_what_the_user_has_set_for_threads_and_memory_stays() -> None:
    environment = {"GLIBC_TUNABLES": "glibc.malloc.check=1"}
    quiet_threads(environment)
    assert environment["GLIBC_TUNABLES"] == "glibc.malloc.check=1"
    assert environment["GOMP_SPINCOUNT"].isdigit()
