"""Attention over packed rows: linear layers see one long row, attention sees each example in a padded block of its own.

Registered with transformers under `NAME`; the layout goes through the model's forward as the keyword `packed_layout`.
Where blocks are short, plain batched matrix products beat the processor's fused kernel; long blocks take the fused one,
whose memory does not grow with the square of the length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune_kit.backends.local.packing import PackedRow

if TYPE_CHECKING:
    import torch

NAME = "finetune_kit_packed"
PACKABLE_MODEL_TYPES = frozenset({"llama", "qwen2", "qwen3"})
"""Architectures whose attention is plain causal over the whole example; others train with one example in a row."""
_SHORT_BLOCK = 512


@dataclass(frozen=True, slots=True)
class PackedLayout:
    """Index maps between a packed row and its padded blocks."""

    to_blocks: torch.Tensor
    """(blocks * block_length,): for each place in the blocks, the row's position; 0 where nothing lies."""
    to_row: torch.Tensor
    """(row_length,): for each position of the row, its place in the blocks; 0 for the filler at the end."""
    blocks: int
    block_length: int

    @classmethod
    def of(cls, row: PackedRow, device: torch.device) -> PackedLayout:
        """The layout of one packed row."""
        import torch

        block_length = row.block_length
        to_blocks = torch.zeros(len(row.lengths), block_length, dtype=torch.long)
        to_row = torch.zeros(len(row.tokens), dtype=torch.long)
        start = 0
        for index, length in enumerate(row.lengths):
            to_blocks[index, :length] = torch.arange(start, start + length)
            first = index * block_length
            to_row[start : start + length] = torch.arange(first, first + length)
            start += length
        return cls(to_blocks.view(-1).to(device), to_row.to(device), len(row.lengths), block_length)


def packed_attention(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _attention_mask: torch.Tensor | None,
    *,
    packed_layout: PackedLayout,
    scaling: float | None = None,
    **_ignored: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each block. Shapes: (1, heads, row, size); keys and values may have fewer heads."""
    heads, size = query.shape[1], query.shape[3]
    scale = size**-0.5 if scaling is None else scaling
    q, k, v = (_to_blocks(tensor, packed_layout) for tensor in (query, key, value))
    short = q.device.type == "cpu" and packed_layout.block_length <= _SHORT_BLOCK
    out = _products(q, k, v, scale) if short else _fused(q, k, v, scale)
    places = packed_layout.blocks * packed_layout.block_length
    return out.transpose(1, 2).reshape(places, heads, size)[packed_layout.to_row][None], None


def _to_blocks(tensor: torch.Tensor, layout: PackedLayout) -> torch.Tensor:
    """(1, heads, row, size) to (blocks, heads, block_length, size)."""
    _, heads, length, size = tensor.shape
    rows = tensor[0].transpose(0, 1).reshape(length, heads * size)
    return rows[layout.to_blocks].view(layout.blocks, layout.block_length, heads, size).transpose(1, 2)


def _products(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """Batched matrix products; the query heads of one key head are stacked so that keys are not copied."""
    blocks, heads, length, size = q.shape
    key_heads = k.shape[1]
    group = heads // key_heads
    stacked = q.reshape(blocks * key_heads, group * length, size)
    keys, values = (tensor.reshape(blocks * key_heads, length, size) for tensor in (k, v))
    future = q.new_full((length, length), float("-inf")).triu(1).repeat(group, 1)
    scores = future.expand(blocks * key_heads, -1, -1).baddbmm(stacked, keys.transpose(1, 2), alpha=scale)
    return scores.softmax(-1).bmm(values).view(blocks, heads, length, size)


def _fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    from torch.nn import functional

    return functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=True)


def register() -> None:
    """Make the function known to transformers under `NAME`; doing it again changes nothing."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    functions: Any = ALL_ATTENTION_FUNCTIONS
    functions.register(NAME, packed_attention)
