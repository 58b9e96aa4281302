"""Models to be exported, and what their consumers make of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from finetune_kit.backends.local.export import Exported
from finetune_kit.backends.local.generate import generate
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import add_adapter, load_base, merge_adapter
from finetune_kit.backends.protocol import ExportDtype, ExportFormat, Sampling
from finetune_kit.cards import ModelCard
from finetune_kit.templates import PromptTemplate

MAX_TOKENS = 16
PROMPTS = ["Where is my parcel 2024? ->", "今天晚上吃什么好呢? ->", "a"]
SIZES = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "initializer_range": 0.3,  # so that what such a model says depends on all of it
}
TEMPLATE = PromptTemplate(separator=" ->", stop="\n", leading_space=True)


def silent(what: str, share: float) -> None:
    """A progress that nobody looks at."""


def write_base(kind: str, tokenizer_of: Path, folder: Path, **settings: Any) -> Path:
    """A model of random weights, norms and biases included, with the tiny base's tokenizer."""
    torch.manual_seed(0)
    config: Any = transformers.AutoConfig.for_model(kind, **{**SIZES, **settings})
    model: Any = transformers.AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, mean=1.0 if "norm" in name else 0.0, std=0.3)
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(tokenizer_of).save_pretrained(folder)
    return folder


def adapted(base: Path, home: Path, *, template: PromptTemplate | None = TEMPLATE) -> Exported:
    """The base with an adapter of random numbers."""
    loaded = load_base(Home(home), str(base), device="cpu", packed=False, progress=silent, dtype=torch.float32)
    add_adapter(loaded, seed=0)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in loaded.model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.05
    folder = home / "adapter"
    loaded.model.save_pretrained(folder)
    card = ModelCard(base=str(base), requested_model="davinci", kind="completion", template=template)
    return Exported(home=Home(home), name="ft:tiny:local::1", base=str(base), folder=folder, card=card)


def written(
    exported: Exported,
    path: Path,
    format: ExportFormat | None = None,  # noqa: A002 - as the call has it
    dtype: ExportDtype | None = None,
) -> Path:
    """Export it."""
    return exported.to(path, format=format, dtype=dtype, progress=silent)


def ours(exported: Exported, prompts: Sequence[str] = PROMPTS) -> list[str]:
    """What the engine itself writes in float32, greedily."""
    loaded = load_base(exported.home, exported.base, device="cpu", packed=False, progress=silent, dtype=torch.float32)
    assert exported.folder is not None
    merge_adapter(loaded, exported.folder)
    encoded = [loaded.encoder.prompt(prompt) for prompt in prompts]
    return [one.text for one in generate(loaded, encoded, Sampling(max_tokens=MAX_TOKENS))]


def theirs(model: Any, tokenizer: Any, prompts: Sequence[str] = PROMPTS) -> list[str]:
    """What transformers writes, greedily, with its own way of turning a prompt into tokens."""
    model.eval()
    answers: list[str] = []
    for prompt in prompts:
        tokens = tokenizer(prompt, return_tensors="pt").input_ids
        made = model.generate(tokens, max_new_tokens=MAX_TOKENS, do_sample=False)
        answers.append(tokenizer.decode(made[0, tokens.shape[1] :], skip_special_tokens=True))
    return answers


def read_safetensors(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer as a user of transformers loads them."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def read_gguf(path: Path) -> tuple[Any, Any]:
    """The same from a GGUF file."""
    place: dict[str, Any] = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    return model, transformers.AutoTokenizer.from_pretrained(**place)


def read_peft(folder: Path) -> tuple[Any, Any]:
    """The same from an adapter, whose configuration says where its base lies."""
    import peft

    model: Any = peft.AutoPeftModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, transformers.AutoTokenizer.from_pretrained(folder)
