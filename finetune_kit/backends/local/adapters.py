"""LoRA adapters of one base, kept beside its weights and applied to their own rows of one batch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import orjson

from finetune_kit.backends.local.linear import Linear
from finetune_kit.errors import WeightsError

if TYPE_CHECKING:
    import torch

    from finetune_kit.backends.local.decoder import Decoder

Kind: TypeAlias = Literal["qkv", "o", "gate_up", "down"]
"""The four products of a layer."""

PARTS: dict[Kind, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "o": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
_KEY = re.compile(r"base_model\.model\.model\.layers\.(\d+)\.((?:self_attn|mlp)\.\w+_proj)\.lora_([AB])\.weight")
_PLAIN = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out", "layer_replication")
"""Options of an adapter of which none may be set, for it to be no more than two matrices for each layer."""


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """One adapter's matrices for each product of each layer: inputs to rank, and rank to outputs, scaled."""

    down: Mapping[tuple[int, Kind], torch.Tensor]
    up: Mapping[tuple[int, Kind], torch.Tensor]
    ranks: Mapping[Kind, int]

    @property
    def size_bytes(self) -> int:
        """Of all matrices."""
        return sum(t.numel() * t.element_size() for side in (self.down, self.up) for t in side.values())

    @classmethod
    def read(cls, folder: Path, decoder: Decoder) -> Adapter | None:
        """The adapter in a folder as PEFT writes it; None where it is more than plain LoRA on a layer's products."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            config: dict[str, Any] = orjson.loads((folder / "adapter_config.json").read_bytes())
            tensors: dict[str, torch.Tensor] = load_file(folder / "adapter_model.safetensors")
            rank, alpha = int(config["r"]), float(config["lora_alpha"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise WeightsError(
                f"the adapter in {folder} cannot be read: {error}. Train it again, or take another checkpoint."
            ) from error
        if any(config.get(option) for option in _PLAIN) or not all(map(_KEY.fullmatch, tensors)):
            return None
        scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
        return cls._joined({key: tensor.float() for key, tensor in tensors.items()}, scale, decoder)

    @classmethod
    def _joined(cls, tensors: Mapping[str, torch.Tensor], scale: float, decoder: Decoder) -> Adapter:
        """As the decoder joins the layers' products: the ranks of the parts side by side, outputs below one another."""
        import torch

        down: dict[tuple[int, Kind], torch.Tensor] = {}
        up: dict[tuple[int, Kind], torch.Tensor] = {}
        ranks: dict[Kind, int] = dict.fromkeys(PARTS, 0)
        like = decoder.embedding
        for layer in range(len(decoder.layers)):
            for kind, parts in PARTS.items():
                names = [f"base_model.model.model.layers.{layer}.{part}.lora_" for part in parts]
                downs = [tensors[f"{name}A.weight"] for name in names if f"{name}A.weight" in tensors]
                if downs:
                    ups = [
                        tensors.get(f"{name}B.weight", torch.zeros(decoder.widths[part], 0))
                        for name, part in zip(names, parts, strict=True)
                    ]
                    down[layer, kind] = torch.cat(downs).to(like)
                    up[layer, kind] = torch.block_diag(*ups).mul_(scale).to(like)
                    ranks[kind] = max(ranks[kind], down[layer, kind].shape[0])
        return cls(down, up, ranks)


@dataclass(frozen=True, slots=True)
class Stack:
    """Adapters side by side: one product serves the rows of all of them, each row sees its own part of the ranks."""

    adapters: tuple[Adapter, ...]
    down: Mapping[tuple[int, Kind], Linear]
    up: Mapping[tuple[int, Kind], Linear]
    parts: Mapping[Kind, torch.Tensor]
    """(adapters + 1, all ranks): 1 where a rank is an adapter's own; the last line is for rows without an adapter."""

    @classmethod
    def of(cls, adapters: Sequence[Adapter], layers: int, like: torch.Tensor) -> Stack:
        """Of adapters of one base."""
        import torch

        down: dict[tuple[int, Kind], Linear] = {}
        up: dict[tuple[int, Kind], Linear] = {}
        parts: dict[Kind, torch.Tensor] = {}
        for kind in PARTS:
            ranks = [adapter.ranks[kind] for adapter in adapters]
            if not sum(ranks):
                continue
            owner = torch.arange(len(adapters)).repeat_interleave(torch.tensor(ranks))
            parts[kind] = (torch.arange(len(adapters) + 1)[:, None] == owner).to(like)
            for layer in range(layers):
                key = layer, kind
                there = [adapter for adapter in adapters if key in adapter.down]
                if there:
                    inputs, outputs = there[0].down[key].shape[1], there[0].up[key].shape[0]
                    downs = [_filled(one.down.get(key), one.ranks[kind], inputs, like) for one in adapters]
                    ups = [_filled(_turned(one.up.get(key)), one.ranks[kind], outputs, like) for one in adapters]
                    down[key] = Linear.of(torch.cat(downs))
                    up[key] = Linear.of(torch.cat(ups).T)
        return cls(tuple(adapters), down, up, parts)


@dataclass(frozen=True, slots=True)
class Deltas:
    """What the adapters add in one pass."""

    stack: Stack
    masks: Mapping[Kind, torch.Tensor] | None
    """(tokens, all ranks) for each kind; None where all tokens are of the one adapter in the stack."""

    @classmethod
    def of(cls, stack: Stack, owners: Sequence[Adapter | None], rows: torch.Tensor) -> Deltas:
        """For tokens in `rows`, whose adapters are `owners`."""
        import torch

        if len(stack.adapters) == 1 and None not in owners:
            return cls(stack, None)
        numbers = {id(adapter): number for number, adapter in enumerate(stack.adapters)}
        lines = [numbers.get(id(owner), len(numbers)) for owner in owners]
        of_tokens = torch.tensor(lines, device=rows.device)[rows]
        return cls(stack, {kind: part[of_tokens] for kind, part in stack.parts.items()})

    def added(self, out: torch.Tensor, x: torch.Tensor, layer: int, kind: Kind) -> torch.Tensor:
        """`out` with what the adapters make of `x`."""
        key = layer, kind
        if key not in self.stack.down:
            return out
        inner = self.stack.down[key](x)
        if self.masks is not None:
            inner = inner * self.masks[kind]
        return out.add_(self.stack.up[key](inner))


def _filled(matrix: torch.Tensor | None, rank: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """(rank, width), with zeros where the adapter has less."""
    import torch

    filled = torch.zeros(rank, width, dtype=like.dtype, device=like.device)
    if matrix is not None:
        filled[: matrix.shape[0]] = matrix
    return filled


def _turned(matrix: torch.Tensor | None) -> torch.Tensor | None:
    return None if matrix is None else matrix.T
