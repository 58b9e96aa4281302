"""What a training will need of memory, known before it starts, and what would fit where it is too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune_kit.backends.local.forward import LOGIT_ROWS
from finetune_kit.backends.local.free_memory import shown_bytes
from finetune_kit.backends.local.packing import ROW_TOKENS
from finetune_kit.errors import InsufficientMemoryError

if TYPE_CHECKING:
    from finetune_kit.backends.local.models import Loaded

_MASTER_AND_ADAM_BYTES = 12
"""For each trained number in float32: its master copy and the two moments of AdamW."""
_SAVED_BYTES = 24
"""While the state is written all three exist twice more; gradients, which are smaller, are gone then."""
_WIDTHS, _INNER_WIDTHS = 12.0, 6.0
"""Numbers that one token leaves in a layer for the way back, in units of the model's and the feed-forward's width."""
_NOT_FUSED = 1.5
"""So many times as much where the layers are those of transformers alone."""
_LEAST_TOKENS = 64
"""An advice to cut examples to less is none."""
_LOGIT_BYTES = 12
"""Logits, their probabilities and their gradient."""
_KERNEL_BYTES = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMemory:
    """What a training needs beside the weights that are loaded already, in bytes.

    An estimate: on the embedded model, on a processor, 0.9 to 1.1 times what was measured, rows of 64 to 2,048 tokens,
    LoRA and all weights, bfloat16 and float32 (`tests/benchmarks/memory.py`).
    """

    trained_numbers: int
    adapter: bool
    """Whether only an adapter is trained, not all weights."""
    row_tokens: int
    """Of what goes through the model at once."""
    longest_tokens: int
    """Of the longest example; no row is shorter."""
    pairs: bool
    """Whether two answers of such a length go through the model together."""
    token_bytes: float
    """What one token of a row leaves for the way back."""
    fixed_bytes: int
    """Of logits, and of what torch's kernels take for themselves."""

    @classmethod
    def of(cls, loaded: Loaded, *, longest_tokens: int, batch_tokens: int, pairs: bool) -> TrainingMemory:
        """For a model whose trained weights are marked, and batches of up to so many tokens.

        With `pairs`, two answers of such a length go through the model together.
        """
        config, causal = loaded.causal.config.get_text_config(), loaded.causal
        width = int(config.hidden_size)
        heads = int(config.num_attention_heads)
        size = int(getattr(config, "head_dim", None) or width // heads)
        vocabulary = int(causal.get_output_embeddings().weight.shape[0])
        inner = int(getattr(config, "intermediate_size", None) or 4 * width)
        numbers = _WIDTHS * max(width, heads * size) + _INNER_WIDTHS * inner
        each = loaded.dtype.itemsize * int(config.num_hidden_layers) * numbers
        row = max(longest_tokens, min(ROW_TOKENS, batch_tokens) if loaded.packable else 0)
        return cls(
            trained_numbers=sum(one.numel() for one in loaded.model.parameters() if one.requires_grad),
            adapter=loaded.causal is not loaded.model,
            row_tokens=2 * row if pairs else row,
            longest_tokens=longest_tokens,
            pairs=pairs,
            token_bytes=each * (1.0 if loaded.packable else _NOT_FUSED),
            fixed_bytes=_KERNEL_BYTES + LOGIT_ROWS * vocabulary * _LOGIT_BYTES,
        )

    @property
    def trained_bytes(self) -> int:
        """Of the trained weights: gradients, the optimizer's numbers and their copy while they are saved."""
        return self.trained_numbers * (_MASTER_AND_ADAM_BYTES + _SAVED_BYTES)

    @property
    def row_bytes(self) -> int:
        """Of what a row leaves in the layers, of its logits, and of the kernels."""
        return int(self.row_tokens * self.token_bytes) + self.fixed_bytes

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.trained_bytes + self.row_bytes

    def __str__(self) -> str:
        what = "the adapter" if self.adapter else "all weights"
        return (
            f"about {shown_bytes(self.total_bytes)} besides the weights: {shown_bytes(self.trained_bytes)} for {what} "
            f"with the optimizer, {shown_bytes(self.row_bytes)} for rows of up to {self.row_tokens:,} tokens"
        )

    def check(self, free_bytes: int | None, *, base: str) -> None:
        """Raise `InsufficientMemoryError`, which says what would fit, where there is less than it needs."""
        if free_bytes is None or self.total_bytes <= free_bytes:
            return
        raise InsufficientMemoryError(
            f"training {base} needs {self}. Free are {shown_bytes(free_bytes)}. {self._what_fits(free_bytes)}",
            needed_bytes=self.total_bytes,
            free_bytes=free_bytes,
        )

    def _what_fits(self, free_bytes: int) -> str:
        tokens = int((free_bytes - self.trained_bytes - self.fixed_bytes) / self.token_bytes)
        tokens = tokens * self.longest_tokens // self.row_tokens if self.pairs else tokens
        if _LEAST_TOKENS <= tokens < self.longest_tokens:
            return (
                f"Examples of up to {tokens:,} tokens would fit, and the longest has {self.longest_tokens:,}: shorten "
                "those above, or take a smaller base model."
            )
        if not self.adapter:
            return "Train a LoRA adapter instead (full_fine_tuning=False), or take a smaller base model."
        return "Take a smaller base model or a smaller lora_rank, or free memory: close other programs and models."
