"""Batched generation with stop sequences by text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.protocol import Generation, Sampling
from finetune_kit.errors import EngineError

if TYPE_CHECKING:
    import torch

BATCH_PROMPTS = 32
"""Prompts that are answered together."""
_SEEDS = 2**63


def generate(loaded: Loaded, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Generation]:
    """Go on from each prompt; prompts of like length are answered together, the answers come in the order asked."""
    import torch

    check_length(loaded, prompts)
    answers: dict[int, Generation] = {}
    with torch.inference_mode():
        for indices in batches([len(prompt) for prompt in prompts], size=BATCH_PROMPTS):
            batch = _Decoding(loaded, [prompts[index] for index in indices], sampling, seeds=indices)
            answers.update(zip(indices, batch.run(), strict=True))
    return [answers[index] for index in range(len(prompts))]


def check_length(loaded: Loaded, prompts: Sequence[Sequence[int]], *, room: int = 1) -> None:
    """Raise `EngineError` where a prompt leaves no room for `room` tokens more in what the model can see at once."""
    longest = max(map(len, prompts), default=0)
    if longest + room > loaded.context_tokens:
        raise EngineError(
            f"a prompt has {longest:,} tokens, and the model sees {loaded.context_tokens:,} at once, its "
            "answer included. Shorten the prompt."
        )


def batches(lengths: Sequence[int], *, size: int) -> Iterator[list[int]]:
    """Indices of prompts that go through the model together: those of like length, at most `size`."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for start in range(0, len(order), size):
        yield order[start : start + size]


@dataclass(slots=True)
class _Decoding:
    """One batch of prompts being answered."""

    loaded: Loaded
    prompts: Sequence[Sequence[int]]
    sampling: Sampling
    seeds: Sequence[int]
    """Each prompt's own number, so that its sample does not depend on its neighbours."""
    written: list[list[int]] = field(init=False)
    finished: list[Generation | None] = field(init=False)
    _generators: list[torch.Generator | None] = field(init=False)

    def __post_init__(self) -> None:
        self.written = [[] for _ in self.prompts]
        self.finished = [None] * len(self.prompts)
        self._generators = [self._generator(number) for number in self.seeds]

    def _generator(self, number: int) -> torch.Generator | None:
        import torch

        if self.sampling.temperature <= 0:
            return None
        generator = torch.Generator()
        if self.sampling.seed is None:
            generator.seed()
        else:
            generator.manual_seed((self.sampling.seed + number) % _SEEDS)
        return generator

    def run(self) -> list[Generation]:
        """Write token by token; who has finished leaves the batch."""
        import torch
        from transformers import DynamicCache

        model, device = self.loaded.model, self.loaded.device
        tokens, mask = _left_padded(self.prompts, device)
        cache = DynamicCache(config=model.config)
        with_cache: dict[str, Any] = {_cache_argument(model): cache}
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        active = list(range(len(self.prompts)))
        for _ in range(min(self.sampling.max_tokens, self.loaded.context_tokens - tokens.shape[1])):
            out = model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                use_cache=True,
                logits_to_keep=1,
                **with_cache,
            )
            rows = out.logits[:, -1].float().cpu()
            chosen = [self._choose(index, row) for index, row in zip(active, rows, strict=True)]
            for index, token in zip(active, chosen, strict=True):
                self._take(index, token)
            going = [place for place, index in enumerate(active) if self.finished[index] is None]
            if not going:
                break
            if len(going) < len(active):
                keep = torch.tensor(going, device=device)
                cache.batch_select_indices(keep)
                mask, positions = mask[keep], positions[keep]
                active, chosen = [active[place] for place in going], [chosen[place] for place in going]
            tokens = torch.tensor(chosen, device=device)[:, None]
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=-1)
            positions = positions[:, -1:] + 1
        return [done or self._end(index, "length") for index, done in enumerate(self.finished)]

    def _choose(self, index: int, logits: torch.Tensor) -> int:
        import torch

        sampling = self.sampling
        if sampling.frequency_penalty or sampling.presence_penalty:
            seen = torch.bincount(torch.tensor(self.written[index], dtype=torch.long), minlength=logits.shape[-1])
            logits = logits - sampling.frequency_penalty * seen - sampling.presence_penalty * (seen > 0)
        if sampling.temperature <= 0:
            return int(logits.argmax())
        probabilities = ((logits - logits.max()) / sampling.temperature).softmax(-1)
        if sampling.top_p < 1:
            ordered, order = probabilities.sort(descending=True)
            beyond = ordered.cumsum(-1) - ordered >= sampling.top_p
            beyond[0] = False
            probabilities = torch.zeros_like(probabilities).scatter(0, order, ordered.masked_fill(beyond, 0.0))
        return int(torch.multinomial(probabilities, 1, generator=self._generators[index]))

    def _take(self, index: int, token: int) -> None:
        if token == self.loaded.encoder.end:
            self.finished[index] = self._end(index, "stop")
            return
        self.written[index].append(token)
        if self.sampling.stop:
            text = self._text(index)
            if any(stop in text for stop in self.sampling.stop):
                self.finished[index] = self._end(index, "stop")

    def _text(self, index: int) -> str:
        text: str = self.loaded.encoder.tokenizer.decode(self.written[index], skip_special_tokens=True)
        return text

    def _end(self, index: int, reason: Literal["stop", "length"]) -> Generation:
        text = self._text(index)
        cuts = [text.index(stop) for stop in self.sampling.stop if stop in text]
        return Generation(
            text=text[: min(cuts, default=len(text))],
            finish_reason=reason,
            prompt_tokens=len(self.prompts[index]),
            completion_tokens=len(self.written[index]),
        )


def _cache_argument(model: Any) -> str:
    """`past_key_values` until transformers renamed it, at some architectures before others."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # an adapter's wrapper tells nothing
    return "cache" if "cache" in signature(base.forward).parameters else "past_key_values"


def _left_padded(prompts: Sequence[Sequence[int]], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """(prompts, longest) tokens and mask, with the prompts at the right edge."""
    import torch

    longest = max(len(prompt) for prompt in prompts)
    tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    for index, prompt in enumerate(prompts):
        tokens[index, longest - len(prompt) :] = torch.tensor(prompt)
        mask[index, longest - len(prompt) :] = 1
    return tokens.to(device), mask.to(device)
