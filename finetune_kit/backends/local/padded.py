"""The same for any architecture that transformers knows: rows are padded at the left, and wait for one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

from finetune_kit.backends.local.batch import Prompt

if TYPE_CHECKING:
    import torch

_MOST_ROWS = 32


@dataclass(slots=True)
class PaddedBatch:
    """Rows that begin together; new ones join when all of them have finished."""

    model: Any
    _cache: Any = None
    _mask: torch.Tensor | None = field(default=None)
    _positions: torch.Tensor | None = field(default=None)

    def room(self, waiting: Sequence[Prompt]) -> int:
        """None while there are rows."""
        return 0 if self._mask is not None else min(len(waiting), _MOST_ROWS)

    def add(
        self,
        prompts: Sequence[Prompt],
        meanwhile: Callable[[], None] | None = None,  # noqa: ARG002 - nobody is being answered then
    ) -> torch.Tensor:
        """The logits after each prompt."""
        import torch
        from transformers import DynamicCache

        longest = max(len(prompt.tokens) for prompt in prompts)
        tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros(len(prompts), longest, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            tokens[row, longest - len(prompt.tokens) :] = torch.tensor(prompt.tokens)
            mask[row, longest - len(prompt.tokens) :] = 1
        self._cache = DynamicCache(config=self.model.config)
        self._mask = mask.to(self.model.device)
        self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        return self._forward(tokens)

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """The next logits of every row."""
        import torch

        assert self._mask is not None
        assert self._positions is not None
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=-1)
        self._positions = self._positions[:, -1:] + 1
        return self._forward(torch.tensor(tokens)[:, None])

    def keep(self, rows: Sequence[int]) -> list[int]:
        """The rows keep their order."""
        import torch

        if not rows:
            self.clear()
        elif self._mask is not None and self._positions is not None and len(rows) < self._mask.shape[0]:
            kept = torch.tensor(rows, device=self.model.device)
            self._cache.batch_select_indices(kept)
            self._mask, self._positions = self._mask[kept], self._positions[kept]
        return list(rows)

    def clear(self) -> None:
        """Forget all rows."""
        self._cache = self._mask = self._positions = None

    def _forward(self, tokens: torch.Tensor) -> torch.Tensor:
        with_cache: dict[str, Any] = {_cache_argument(self.model): self._cache}
        logits: torch.Tensor = self.model(
            input_ids=tokens.to(self.model.device),
            attention_mask=self._mask,
            position_ids=self._positions,
            use_cache=True,
            logits_to_keep=1,
            **with_cache,
        ).logits
        return logits[:, -1]


def _cache_argument(model: Any) -> str:
    """`past_key_values` until transformers renamed it, at some architectures before others."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # an adapter's wrapper tells nothing
    return "cache" if "cache" in signature(base.forward).parameters else "past_key_values"
