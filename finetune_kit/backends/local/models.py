"""Loading base models and adapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_kit._extras import require
from finetune_kit.backends.local import attention
from finetune_kit.backends.local.device import import_torch, pick_device, pick_dtype
from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.weights import SMOLLM2, Progress, converted
from finetune_kit.errors import WeightsError

LORA_RANK = 16
LORA_ALPHA = 32
MAX_TOKENS_PER_EXAMPLE = 2048
EMBEDDED = {SMOLLM2.name: SMOLLM2}


@dataclass(slots=True)
class Loaded:
    """A model in memory with its tokenizer."""

    model: Any
    encoder: Encoder
    device: Any
    dtype: Any
    packable: bool
    """Whether several examples may lie in one row; see `attention.PACKABLE_MODEL_TYPES`."""


def base_folder(home: Home, base: str, progress: Progress) -> str:
    """Where `base` lies: the embedded model's folder, made if need be; a folder or Hugging Face id stays as it is."""
    return str(converted(home, EMBEDDED[base], progress)) if base in EMBEDDED else base


def load_base(home: Home, base: str, *, device: str | None, packed: bool, progress: Progress) -> Loaded:
    """Load a base model; with `packed`, ready for packed rows where its architecture allows them."""
    import_torch()
    transformers = require("transformers", extra="local", purpose="The engine on this machine")
    where = base_folder(home, base, progress)
    chosen = pick_device(device)
    dtype = pick_dtype(home, chosen)
    with _quiet(transformers):
        try:
            config = transformers.AutoConfig.from_pretrained(where)
            packable = packed and config.model_type in attention.PACKABLE_MODEL_TYPES
            if packable:
                attention.register()
            model = transformers.AutoModelForCausalLM.from_pretrained(
                where, dtype=dtype, attn_implementation=attention.NAME if packable else "sdpa"
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(where)
        except (OSError, ValueError, KeyError) as error:
            raise WeightsError(
                f"the base model {base!r} cannot be loaded: {str(error).splitlines()[0]} "
                "Give a folder with config.json, safetensors and a tokenizer, or a Hugging Face id this machine can reach."
            ) from error
    model.to(chosen)
    limit = min(MAX_TOKENS_PER_EXAMPLE, int(getattr(config, "max_position_embeddings", MAX_TOKENS_PER_EXAMPLE)))
    return Loaded(model, Encoder(tokenizer, limit), chosen, dtype, packable)


def add_adapter(loaded: Loaded, *, seed: int, start_from: Path | None = None) -> None:
    """Put trainable LoRA weights on all linear layers, new ones or those of an earlier fine-tuned model."""
    torch = import_torch()
    peft = require("peft", extra="local", purpose="The engine on this machine")
    torch.manual_seed(seed)
    # The adapter computes in the base's type; the optimizer keeps its float32 master copy (trainer.py).
    if start_from is not None:
        loaded.model = peft.PeftModel.from_pretrained(
            loaded.model, start_from, is_trainable=True, autocast_adapter_dtype=False
        )
    else:
        config = peft.LoraConfig(
            r=LORA_RANK, lora_alpha=LORA_ALPHA, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        loaded.model = peft.get_peft_model(loaded.model, config, autocast_adapter_dtype=False)
    loaded.model.to(loaded.dtype)


def merge_adapter(loaded: Loaded, folder: Path) -> None:
    """Add an adapter into the weights, for generation: half the work of keeping it apart."""
    peft = require("peft", extra="local", purpose="The engine on this machine")
    model = peft.PeftModel.from_pretrained(loaded.model, folder, autocast_adapter_dtype=False)
    loaded.model = model.merge_and_unload()


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No loading bars of the libraries below in the user's terminal."""
    logging = transformers.utils.logging
    was_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            logging.enable_progress_bar()
