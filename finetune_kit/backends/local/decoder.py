"""The forward pass of plain decoders over rows of tokens that lie in a `SlotCache`: for inference alone.

Tokens of all rows stand in one long row, so that linear layers see no padding; attention sees each row's keys in the
cache. Queries, keys and values are one product, gate and up another. Weights are taken from a transformers model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune_kit.backends.local.adapters import PARTS, Deltas, Kind
from finetune_kit.backends.local.attention import PACKABLE_MODEL_TYPES
from finetune_kit.backends.local.linear import Linear

if TYPE_CHECKING:
    import torch

    from finetune_kit.backends.local.slots import SlotCache


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tokens of one pass lie and what they see."""

    rows: torch.Tensor
    """(tokens,): each one's row in the cache."""
    places: torch.Tensor
    """(tokens,): each one's place in its row, where its key and value are written."""
    positions: torch.Tensor
    """(tokens,): each one's position in its text."""
    first_row: int
    last_row: int
    """The rows of this pass lie side by side, from the first up to and without the last."""
    visible: int
    """As many places of the rows can be seen by any token."""
    mask: torch.Tensor
    """(rows, 1, queries of a row, visible): 0 where seen, else minus infinity."""
    to_blocks: torch.Tensor | None
    """(rows * queries of a row,): the token in each block of queries; None where each row has one token."""
    to_tokens: torch.Tensor | None
    """(tokens,): each one's place among the blocks."""


@dataclass(frozen=True, slots=True)
class _Layer:
    before_attention: torch.Tensor
    before_mlp: torch.Tensor
    linears: dict[Kind, Linear]
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Decoder:
    """A llama-like model's weights, ready for inference."""

    layers: Sequence[_Layer]
    embedding: torch.Tensor
    norm: torch.Tensor
    head: Linear
    rotary: Any
    activation: Any
    epsilon: float
    heads: int
    key_heads: int
    head_size: int
    widths: Mapping[str, int]
    """Outputs of each linear layer, by its name in a layer."""

    @property
    def cache_width(self) -> int:
        """Numbers that one token keeps in one layer."""
        return 2 * self.key_heads * self.head_size

    @property
    def dtype(self) -> torch.dtype:
        """In what it computes."""
        return self.embedding.dtype

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.embedding.device

    @property
    def size_bytes(self) -> int:
        """Of all weights."""
        tensors = [self.embedding, self.head.weight]
        tensors += [linear.weight for layer in self.layers for linear in layer.linears.values()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @classmethod
    def of(cls, model: Any) -> Decoder | None:
        """The weights of a transformers model; None where its architecture is another than a plain decoder."""
        config = model.config
        types = getattr(config, "layer_types", None) or ["full_attention"]
        if config.model_type not in PACKABLE_MODEL_TYPES or set(types) != {"full_attention"}:
            return None
        inner = model.model
        attention = inner.layers[0].self_attn
        return cls(
            layers=[_layer(one) for one in inner.layers],
            embedding=inner.embed_tokens.weight.detach(),
            norm=inner.norm.weight.detach(),
            head=Linear.of(model.lm_head.weight, model.lm_head.bias),
            rotary=inner.rotary_emb,
            activation=inner.layers[0].mlp.act_fn,
            epsilon=config.rms_norm_eps,
            heads=config.num_attention_heads,
            key_heads=config.num_key_value_heads,
            head_size=attention.head_dim,
            widths={
                part: inner.layers[0].get_submodule(part).out_features for parts in PARTS.values() for part in parts
            },
        )

    def hidden(
        self, tokens: torch.Tensor, layout: Layout, cache: SlotCache, deltas: Deltas | None = None
    ) -> torch.Tensor:
        """(tokens, width): what the model has made of each token; its keys and values are in the cache then."""

        x = self.embedding[tokens]
        cos, sin = (part[0, :, None] for part in self.rotary(x, position_ids=layout.positions[None]))
        for index, layer in enumerate(self.layers):
            h = self._norm(x, layer.before_attention)
            qkv = _product(layer, index, "qkv", h, deltas)
            x = x + _product(
                layer, index, "o", self._attend(qkv, layer, cache.storage[index], (cos, sin), layout), deltas
            )
            gate, up = _product(layer, index, "gate_up", self._norm(x, layer.before_mlp), deltas).chunk(2, -1)
            x = x + _product(layer, index, "down", self.activation(gate) * up, deltas)
        return self._norm(x, self.norm)

    def _attend(
        self,
        qkv: torch.Tensor,
        layer: _Layer,
        stored: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor],
        layout: Layout,
    ) -> torch.Tensor:
        """(tokens, heads * size)."""
        import torch

        size, count = self.head_size, qkv.shape[0]
        heads = qkv.view(count, -1, size)
        turned = self.heads + self.key_heads
        both = heads[:, :turned]
        if layer.query_norm is not None and layer.key_norm is not None:
            queries, keys = both[:, : self.heads], both[:, self.heads :]
            both = torch.cat((self._norm(queries, layer.query_norm), self._norm(keys, layer.key_norm)), 1)
        cos, sin = rotation
        half = size // 2
        swapped = torch.cat((-both[..., half:], both[..., :half]), -1)
        heads[:, :turned] = both * cos + swapped * sin
        stored.index_put_((layout.rows, layout.places), heads[:, self.heads :].reshape(count, -1))
        seen = stored[layout.first_row : layout.last_row, : layout.visible]
        rows = seen.shape[0]
        seen = seen.view(rows, layout.visible, 2, self.key_heads, size)
        keys, values = seen[:, :, 0].transpose(1, 2), seen[:, :, 1].transpose(1, 2)
        group = self.heads // self.key_heads
        queries = heads[:, : self.heads]
        if layout.to_blocks is not None:
            blocks = queries.reshape(count, -1)[layout.to_blocks].view(rows, -1, self.key_heads, group, size)
            queries = blocks.permute(0, 2, 3, 1, 4)
        queries = queries.reshape(rows, self.key_heads, -1, size)
        out = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=layout.mask)
        if layout.to_tokens is None:
            return out.reshape(count, -1)
        out = out.view(rows, self.key_heads, group, -1, size).permute(0, 3, 1, 2, 4)
        return out.reshape(-1, self.heads * size)[layout.to_tokens]

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        import torch

        return torch.nn.functional.rms_norm(x, weight.shape, weight, self.epsilon)


def _product(layer: _Layer, index: int, kind: Kind, x: torch.Tensor, deltas: Deltas | None) -> torch.Tensor:
    out = layer.linears[kind](x)
    return out if deltas is None else deltas.added(out, x, index, kind)


def _layer(layer: Any) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    query_norm, key_norm = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
    return _Layer(
        before_attention=layer.input_layernorm.weight.detach(),
        before_mlp=layer.post_attention_layernorm.weight.detach(),
        linears={
            "qkv": _joined(attention.q_proj, attention.k_proj, attention.v_proj),
            "o": _joined(attention.o_proj),
            "gate_up": _joined(mlp.gate_proj, mlp.up_proj),
            "down": _joined(mlp.down_proj),
        },
        query_norm=None if query_norm is None else query_norm.weight.detach(),
        key_norm=None if key_norm is None else key_norm.weight.detach(),
    )


def _joined(*modules: Any) -> Linear:
    """Several linear layers over the same inputs as one."""
    import torch

    weight = torch.cat([module.weight for module in modules])
    biased = modules[0].bias is not None
    return Linear.of(weight, torch.cat([module.bias for module in modules]) if biased else None)
