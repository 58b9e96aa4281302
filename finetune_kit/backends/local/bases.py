"""Base models of the user's own: what is refused before anything of it is loaded, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from finetune_kit.errors import WeightsError

_PICKLED = ("pytorch_model*.bin", "model*.bin", "*.pt", "*.pth", "*.ckpt")
_INDEX = "model.safetensors.index.json"


def named(base: str) -> tuple[str, str | None]:
    """A Hugging Face id and its revision from `id@revision`; a folder stays whole, whatever is in its name."""
    if "@" not in base or Path(base).expanduser().is_dir():
        return base, None
    name, _, revision = base.rpartition("@")
    if not name or not revision:
        raise WeightsError(f"base={base!r} is neither a folder nor an id@revision: a part is empty beside the @.")
    return name, revision


def check_folder(base: str) -> None:
    """Raise `WeightsError` where `base` looks like a folder and is none that holds a whole model in safetensors."""
    folder = Path(base).expanduser()
    if folder.is_dir():
        _check_config(folder)
        _check_weights(folder)
    elif folder.is_absolute() or base.startswith((".", "~")):
        raise WeightsError(f"there is no folder {base}. Give base= a folder with a model, or a Hugging Face id.")
    else:
        named(base)


def check_kind(config: Any, base: str) -> None:
    """Raise `WeightsError` for models that do not go on with a text, such as encoder-decoder and vision models."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        what = "reads with an encoder and writes with a decoder"
    elif getattr(config, "vision_config", None) is not None:
        what = "takes images"
    elif kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        what = "does not go on with a text"
    else:
        return
    raise WeightsError(
        f"the base model {base!r} is of type {kind!r}, which {what}. The engine trains decoder-only models of text, "
        "such as llama, qwen2, qwen3, mistral, gemma, phi or gpt2."
    )


def check_head(model: Any, base: str) -> None:
    """Raise `WeightsError` where logits are more than the output layer makes of hidden states, as with soft caps.

    Training computes them so, for a few positions at a time, and would learn from a wrong loss without a word.
    """
    import torch

    tokens = torch.arange(1, 9, device=model.device)[None]
    with torch.inference_mode():
        whole = model(input_ids=tokens, use_cache=False).logits
        hidden = model.base_model(input_ids=tokens, use_cache=False).last_hidden_state
        plain = model.get_output_embeddings()(hidden)
    if not torch.allclose(whole.float(), plain.float(), rtol=1e-2, atol=1e-3):
        raise WeightsError(
            f"the base model {base!r}, of type {model.config.model_type!r}, scales or caps its logits, which the "
            "engine's training does not do yet. Take a model of another type, such as llama or qwen3."
        )


def _check_config(folder: Path) -> None:
    path = folder / "config.json"
    if not path.is_file():
        raise WeightsError(
            f"the folder {folder} holds no config.json, so no base model. Give a folder as save_pretrained writes it."
        )
    config = _object(path)
    if not isinstance(config.get("model_type"), str):
        raise WeightsError(f"{path} names no model_type, so it is no model's config. Copy the folder again.")


def _check_weights(folder: Path) -> None:
    index = folder / _INDEX
    if index.is_file():
        weights = _object(index).get("weight_map")
        if not isinstance(weights, dict):
            raise WeightsError(f"{index} has no weight_map. Copy the folder again.")
        shards = {str(shard) for shard in cast("dict[str, object]", weights).values()}
        outside = sorted(shard for shard in shards if Path(shard).name != shard)
        if outside:
            raise WeightsError(f"{index} names {outside[0]!r}, which does not lie in the folder. It is not loaded.")
        absent = sorted(shard for shard in shards if not (folder / shard).is_file())
        if absent:
            raise WeightsError(
                f"the folder {folder} is not whole: {len(absent)} of {len(shards)} files of weights are missing, "
                f"{absent[0]} first. Finish the download."
            )
    elif not (folder / "model.safetensors").is_file():
        _refuse_weights(folder)


def _refuse_weights(folder: Path) -> None:
    pickled = next((path.name for pattern in _PICKLED for path in sorted(folder.glob(pattern))), None)
    if pickled is not None:
        raise WeightsError(
            f"the weights in {folder} are pickled ({pickled}), and loading such a file can run any program hidden in "
            "it. Only safetensors are loaded: take the model in that format, or, if you trust the file, convert it "
            "with AutoModelForCausalLM.from_pretrained(...).save_pretrained(...) of transformers."
        )
    raise WeightsError(
        f"the folder {folder} holds a config.json and no model.safetensors. Finish the download, or give a folder as "
        "save_pretrained writes it."
    )


def _object(path: Path) -> Mapping[str, object]:
    try:
        read: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read ({error}). Copy the folder again.") from error
    if not isinstance(read, dict):
        raise WeightsError(f"{path} holds no JSON object. Copy the folder again.")
    return cast("dict[str, object]", read)
