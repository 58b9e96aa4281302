"""Attention over packed rows: linear layers see one long row, attention sees each example in a padded block of its own.

Registered with transformers under `NAME`; the layout goes through the model's forward as the keyword `packed_layout`.
A beginning that examples share is computed once; the queries of each example see its keys and their own. Where blocks
are short, plain batched matrix products beat the processor's fused kernel; long blocks take the fused one, whose memory
does not grow with the square of the length. On a GPU that is flash attention where torch has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from finetune_kit.backends.local.packing import PackedRow

if TYPE_CHECKING:
    import torch

NAME = "finetune_kit_packed"
PACKABLE_MODEL_TYPES = frozenset({"llama", "qwen2", "qwen3"})
"""Architectures whose attention is plain causal over the whole example; others train with one example in a row."""
_SHORT_SCORES = 512 * 512
"""A block's scores, queries by keys, up to which plain matrix products are taken on a processor."""


@dataclass(frozen=True, slots=True)
class PackedLayout:
    """Index maps between a packed row and its padded blocks."""

    to_blocks: torch.Tensor
    """(blocks * block_length,): for each place in the blocks, the row's position; 0 where nothing lies."""
    empty: torch.Tensor
    """(blocks * block_length, 1): whether nothing lies there."""
    to_row: torch.Tensor
    """(examples' tokens,): for each position of the row behind the prefix, its place in the blocks."""
    blocks: int
    block_length: int
    prefix: int
    """Length of the shared beginning, which stands at the start of the row."""

    @classmethod
    def of(cls, row: PackedRow, device: torch.device) -> PackedLayout:
        """The layout of one packed row."""
        import torch

        blocks, block_length = len(row.lengths), row.block_length
        lengths = torch.tensor(row.lengths)
        lies = torch.arange(block_length)[None] < lengths[:, None]
        starts = row.prefix + lengths.cumsum(0) - lengths
        to_blocks = torch.where(lies, starts[:, None] + torch.arange(block_length)[None], 0)
        to_row = lies.view(-1).nonzero().view(-1)
        return cls(
            to_blocks=to_blocks.view(-1).to(device),
            empty=~lies.view(-1, 1).to(device),
            to_row=to_row.to(device),
            blocks=blocks,
            block_length=block_length,
            prefix=row.prefix,
        )


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
    """Causal attention within each block, behind the prefix. Shapes: (1, heads, row, size), of keys fewer heads."""
    import torch

    layout = packed_layout
    length, size = query.shape[2:]
    scale = size**-0.5 if scaling is None else scaling
    q, k, v = (_to_blocks(tensor, layout) for tensor in (query, key, value))
    prefix = layout.prefix
    if not prefix:
        return _to_rows(_causal(q, k, v, scale), layout, length)[None], None
    first_q, first_k, first_v = (tensor[:, :, :prefix] for tensor in (query, key, value))
    k, v = (torch.cat([first.expand(layout.blocks, -1, -1, -1), own], 2) for first, own in ((first_k, k), (first_v, v)))
    rows = _to_rows(_causal(q, k, v, scale), layout, length)
    first = _causal(first_q, first_k, first_v, scale)[0].transpose(0, 1)
    return torch.cat([first, rows[prefix:]])[None], None


def _to_blocks(tensor: torch.Tensor, layout: PackedLayout) -> torch.Tensor:
    """(1, heads, row, size) to (blocks, heads, block_length, size)."""
    _, heads, length, size = tensor.shape
    rows = tensor[0].transpose(0, 1).reshape(length, heads * size)
    blocks: torch.Tensor = _spreads().apply(rows, layout)
    return blocks.view(layout.blocks, layout.block_length, heads, size).transpose(1, 2)


def _to_rows(blocks: torch.Tensor, layout: PackedLayout, length: int) -> torch.Tensor:
    """(blocks, heads, block_length, size) to (row, heads, size); zeros at the prefix and the filler."""
    _, heads, _, size = blocks.shape
    places = blocks.transpose(1, 2).reshape(-1, heads * size)
    rows: torch.Tensor = _gathers().apply(places, layout, length)
    return rows.view(length, heads, size)


def _causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """Each query sees its own key and all before it; keys may be more, and the last of them belong to the queries."""
    if q.device.type == "cpu" and q.shape[2] * k.shape[2] <= _SHORT_SCORES:
        return _products(q, k, v, scale)
    return _fused(q, k, v, scale)


def _products(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """Batched matrix products; the query heads of one key head are stacked so that keys are not copied."""
    blocks, heads, length, size = q.shape
    key_heads, seen = k.shape[1:3]
    group = heads // key_heads
    stacked = q.reshape(blocks * key_heads, group * length, size)
    keys, values = (tensor.reshape(blocks * key_heads, seen, size) for tensor in (k, v))
    scores = (
        _future(length, seen, group, q.dtype)
        .expand(blocks * key_heads, -1, -1)
        .baddbmm(stacked, keys.transpose(1, 2), alpha=scale)
    )
    return scores.softmax(-1).bmm(values).view(blocks, heads, length, size)


@lru_cache(maxsize=8)
def _future(length: int, seen: int, group: int, dtype: torch.dtype) -> torch.Tensor:
    """Minus infinity where a query may not look, for the stacked queries; every layer takes the same."""
    import torch

    return torch.full((length, seen), float("-inf"), dtype=dtype).triu(1 + seen - length).repeat(group, 1)


def _fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    from torch.nn import functional
    from torch.nn.attention.bias import causal_lower_right

    if q.shape[2] == k.shape[2]:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=True)
    # A mask by name and not by numbers keeps flash attention possible; keys of fewer heads do not.
    group = q.shape[1] // k.shape[1]
    k, v = (tensor.repeat_interleave(group, 1) for tensor in (k, v))
    mask: Any = causal_lower_right(q.shape[2], k.shape[2])
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


@cache
def _spreads() -> Any:
    """The function that lays the rows of a matrix into blocks."""
    import torch

    class Spread(torch.autograd.Function):
        """Its gradient is a plain selection too; torch would add row by row, in one thread."""

        @staticmethod
        def forward(ctx: Any, rows: Any, layout: PackedLayout) -> Any:
            ctx.layout, ctx.length = layout, len(rows)
            return rows.index_select(0, layout.to_blocks)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            return _taken(grad, ctx.layout, ctx.length), None

    return Spread


@cache
def _gathers() -> Any:
    """The function that takes the rows back out of the blocks."""
    import torch

    class Gather(torch.autograd.Function):
        """The way back of `Spread`; places where nothing lies get no gradient."""

        @staticmethod
        def forward(ctx: Any, places: Any, layout: PackedLayout, length: int) -> Any:
            ctx.layout = layout
            return _taken(places, layout, length)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            return grad.index_select(0, ctx.layout.to_blocks).masked_fill_(ctx.layout.empty, 0), None, None

    return Gather


def _taken(places: torch.Tensor, layout: PackedLayout, length: int) -> torch.Tensor:
    """The places of a row of `length`, in its order; zeros at the prefix and the filler."""
    import torch

    rows = places.new_empty(length, places.shape[1])
    end = layout.prefix + len(layout.to_row)
    rows[: layout.prefix].zero_()
    torch.index_select(places, 0, layout.to_row, out=rows[layout.prefix : end])
    rows[end:].zero_()
    return rows


def register() -> None:
    """Make the function known to transformers under `NAME`; doing it again changes nothing."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    functions: Any = ALL_ATTENTION_FUNCTIONS
    functions.register(NAME, packed_attention)
