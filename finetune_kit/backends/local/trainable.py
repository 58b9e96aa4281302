"""What is trained of a loaded model: a LoRA adapter, new or that of an earlier model, or all weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune_kit._extras import require
from finetune_kit.backends.local.models import Loaded, add_adapter, merge_adapter
from finetune_kit.backends.local.options import Start
from finetune_kit.errors import EngineError, WeightsError
from finetune_kit.training_options import TrainingOptions

if TYPE_CHECKING:
    import torch

_NAMES_SHOWN = 12


def make_trainable(loaded: Loaded, options: TrainingOptions, *, seed: int, start: Start) -> TrainingOptions:
    """Prepare `loaded`, which is the base or a whole earlier model; return the options with the layers that were taken.

    Whatever is grown or merged, the model says at first exactly what the earlier one said.
    """
    adapter = None if start.adapter is None else start.folder
    if options.full_fine_tuning:
        if adapter is not None:
            merge_adapter(loaded, adapter)
        loaded.model.requires_grad_(requires_grad=True)
        return options
    layers = {name.rpartition(".")[2] for name in _linear_layers(loaded.model)}
    _check_targets(layers, options.lora_target_modules)
    options = replace(options, lora_target_modules=options.lora_target_modules or tuple(sorted(layers)))
    same = start.adapter is not None and (
        (start.adapter.rank, start.adapter.alpha, {*start.adapter.target_modules})
        == (options.lora_rank, options.lora_alpha, {*(options.lora_target_modules or ())})
    )
    add_adapter(
        loaded,
        seed=seed,
        rank=options.lora_rank,
        alpha=options.lora_alpha,
        target_modules=options.lora_target_modules,
        start_from=adapter if same else None,
    )
    if adapter is not None and not same:
        _grow(loaded, adapter, earlier_scale=_scale(start))
    return replace(options, lora_target_modules=tuple(sorted(options.lora_target_modules or ())))


def _scale(start: Start) -> float:
    earlier = start.adapter
    return 1.0 if earlier is None else earlier.alpha / earlier.rank


def _check_targets(there: set[str], asked: tuple[str, ...] | None) -> None:
    """Only linear layers within the model: an embedding, or an output layer tied to it, would change twice."""
    unknown = [name for name in asked or () if name not in there]
    if unknown:
        names = ", ".join(sorted(there)[:_NAMES_SHOWN])
        raise EngineError(
            f"lora_target_modules: the base model has no linear layers named {', '.join(map(repr, unknown))}. It has "
            f"{names}."
        )


def _linear_layers(model: Any) -> list[str]:
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    return [
        name for name, module in model.named_modules() if isinstance(module, (Linear, Conv1D)) and module is not head
    ]


def _grow(loaded: Loaded, folder: Path, *, earlier_scale: float) -> None:
    """Put an earlier adapter into the larger, new one of `loaded`; what is new of it adds nothing at first."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        earlier = load_file(folder / "adapter_model.safetensors")
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"the adapter in {folder} cannot be read: {error}. Start from another model.") from error
    peft = require("peft", extra="local", purpose="The engine on this machine")
    (config,) = loaded.model.peft_config.values()
    ratio = earlier_scale / (config.lora_alpha / config.r)
    grown: dict[str, torch.Tensor] = {}
    for name, new in peft.get_peft_model_state_dict(loaded.model).items():
        value = new.detach().float().clone()
        old = earlier.pop(name, None)
        if old is not None and name.endswith("lora_A.weight"):
            value[: old.shape[0]] = old.float()
        elif old is not None:
            value[:, : old.shape[1]] = old.float() * ratio
        grown[name] = value
    if earlier:
        raise WeightsError(f"the adapter in {folder} has {next(iter(earlier))!r}, which its base has no place for.")
    peft.set_peft_model_state_dict(loaded.model, grown)
