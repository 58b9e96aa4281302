"""Loading base models and adapters."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_kit._extras import require
from finetune_kit._progress import Progress
from finetune_kit.backends.local import attention
from finetune_kit.backends.local.bases import check_folder, check_head, check_kind, named
from finetune_kit.backends.local.device import Numbers, import_torch, pick_device, pick_numbers
from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.free_memory import check_weights
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.options import ALPHA_OVER_RANK, LORA_RANK
from finetune_kit.backends.local.weights import SMOLLM2, converted, converted_gguf, is_gguf
from finetune_kit.errors import InsufficientMemoryError, WeightsError

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
    context_tokens: int
    """As many tokens as the model can see at once."""

    @property
    def causal(self) -> Any:
        """The model itself, without the adapter's wrapping."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model


def base_folder(home: Home, base: str, progress: Progress) -> str:
    """Where `base` lies: what is made of the embedded model or a GGUF file; a folder or an id stays as it is."""
    if is_gguf(base):
        return str(converted_gguf(home, base, progress))
    return str(converted(home, EMBEDDED[base], progress)) if base in EMBEDDED else base


def load_base(
    home: Home,
    base: str,
    *,
    device: str | None,
    packed: bool,
    progress: Progress,
    numbers: Numbers | None = None,
    dtype: Any = None,
) -> Loaded:
    """Load a base model; with `packed`, ready for packed rows where its architecture allows them.

    `numbers` are what a run began with; without them they are those that this machine computes best with. `dtype`
    overrules their type: one of torch, or "auto" for that of the stored weights.
    """
    import_torch()
    transformers = require("transformers", extra="local", purpose="The engine on this machine")
    from safetensors import SafetensorError

    where, revision = named(base_folder(home, base, progress))
    check_folder(where)
    safe: dict[str, Any] = {"revision": revision or "main", "trust_remote_code": False}
    chosen = pick_device(device)
    dtype = (numbers or pick_numbers(home, chosen)).take() if dtype is None else dtype
    with _quiet():
        try:
            config = transformers.AutoConfig.from_pretrained(where, **safe)
            check_kind(config, base)
            check_weights(config, dtype, chosen, base=base)
            packable = packed and config.model_type in attention.PACKABLE_MODEL_TYPES
            if packable:
                attention.register()
            model = transformers.AutoModelForCausalLM.from_pretrained(
                where,
                dtype=dtype,
                attn_implementation=attention.NAME if packable else None,  # None: the best its architecture has
                use_safetensors=True,
                **safe,
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, **safe)
        except (WeightsError, InsufficientMemoryError):
            raise
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise WeightsError(
                f"the base model {base!r} cannot be loaded: {str(error).partition(chr(10))[0]} Give a folder with "
                "config.json, safetensors and a tokenizer, or a Hugging Face id this machine can reach."
            ) from error
    model.to(chosen)
    if packed and not packable:
        check_head(model, base)
    context = int(getattr(config, "max_position_embeddings", MAX_TOKENS_PER_EXAMPLE))
    encoder = Encoder(tokenizer, min(MAX_TOKENS_PER_EXAMPLE, context))
    return Loaded(model, encoder, chosen, model.dtype, packable, context)


def add_adapter(
    loaded: Loaded,
    *,
    seed: int,
    rank: int | None = None,
    alpha: float | None = None,
    target_modules: Sequence[str] | None = None,
    start_from: Path | None = None,
) -> None:
    """Put trainable LoRA weights on layers, by default all linear ones: new weights, or those of an earlier model."""
    torch = import_torch()
    peft = require("peft", extra="local", purpose="The engine on this machine")
    torch.manual_seed(seed)
    # The adapter computes in the base's type; the optimizer keeps its float32 master copy (trainer.py).
    with _quiet():
        if start_from is None:
            decided = rank or LORA_RANK
            config = peft.LoraConfig(
                r=decided,
                lora_alpha=alpha or ALPHA_OVER_RANK * decided,
                lora_dropout=0.0,
                target_modules="all-linear" if target_modules is None else list(target_modules),
                task_type="CAUSAL_LM",
            )
            loaded.model = peft.get_peft_model(loaded.model, config, autocast_adapter_dtype=False)
        else:
            loaded.model = peft.PeftModel.from_pretrained(
                loaded.model, start_from, is_trainable=True, autocast_adapter_dtype=False
            )
    loaded.model.to(loaded.dtype)


def merge_adapter(loaded: Loaded, folder: Path, *, exact: bool = False) -> None:
    """Add an adapter into the weights, for generation: half the work of keeping it apart.

    With `exact` the sum is rounded once, to the type of the weights.
    """
    peft = require("peft", extra="local", purpose="The engine on this machine")
    with _quiet():
        model = peft.PeftModel.from_pretrained(loaded.model, folder, autocast_adapter_dtype=exact)
        loaded.model = model.merge_and_unload()


@contextmanager
def _quiet() -> Generator[None]:
    """No loading bars, and no quarrels of the libraries below with one another, in the user's terminal."""
    from transformers.utils import logging

    was_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if was_shown:
            logging.enable_progress_bar()
