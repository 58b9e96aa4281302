"""Batched generation with stop sequences by text, and ranking of a closed set of completions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.protocol import Generation, Sampling

BATCH_PROMPTS = 32
"""Prompts that are answered together."""


def generate(loaded: Loaded, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Generation]:
    """Go on from each prompt; prompts of like length are answered together, the answers come in the order asked."""
    answers: dict[int, Generation] = {}
    for indices in _batches([len(prompt) for prompt in prompts]):
        batch = _Decoding(loaded, [prompts[index] for index in indices], sampling, seeds=indices)
        answers.update(zip(indices, batch.run(), strict=True))
    return [answers[index] for index in range(len(prompts))]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for start in range(0, len(order), BATCH_PROMPTS):
        yield order[start : start + BATCH_PROMPTS]


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
        if self.sampling.temperature <= 0:
            return None
        generator = torch.Generator()
        if self.sampling.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.sampling.seed + number)
        return generator

    @torch.inference_mode()
    def run(self) -> list[Generation]:
        model, device = self.loaded.model, self.loaded.device
        tokens, mask = _left_padded(self.prompts, device)
        cache = DynamicCache(config=model.config)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        active = list(range(len(self.prompts)))
        for _ in range(self.sampling.max_tokens):
            out = model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen = [
                self._choose(index, row) for index, row in zip(active, out.logits[:, -1].float().cpu(), strict=True)
            ]
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
        sampling = self.sampling
        if sampling.frequency_penalty or sampling.presence_penalty:
            seen = torch.bincount(torch.tensor(self.written[index], dtype=torch.long), minlength=logits.shape[-1])
            logits = logits - sampling.frequency_penalty * seen - sampling.presence_penalty * (seen > 0)
        if sampling.temperature <= 0:
            return int(logits.argmax())
        probabilities = torch.softmax(logits / sampling.temperature, -1)
        if sampling.top_p < 1:
            ordered, order = probabilities.sort(descending=True)
            ordered[ordered.cumsum(-1) - ordered >= sampling.top_p] = 0.0
            probabilities = torch.zeros_like(probabilities).scatter(0, order, ordered)
        return int(torch.multinomial(probabilities, 1, generator=self._generators[index]))

    def _take(self, index: int, token: int) -> None:
        if token == self.loaded.encoder.end:
            self.finished[index] = self._end(index, "stop")
            return
        self.written[index].append(token)
        if self.sampling.stop and any(stop in self._text(index) for stop in self.sampling.stop):
            self.finished[index] = self._end(index, "stop")

    def _text(self, index: int) -> str:
        text: str = self.loaded.encoder.tokenizer.decode(self.written[index], skip_special_tokens=True)
        return text

    def _end(self, index: int, reason: str) -> Generation:
        text = self._text(index)
        cuts = [text.index(stop) for stop in self.sampling.stop if stop in text]
        return Generation(
            text=text[: min(cuts, default=len(text))],
            finish_reason="stop" if reason == "stop" else "length",
            prompt_tokens=len(self.prompts[index]),
            completion_tokens=len(self.written[index]),
        )


def _left_padded(prompts: Sequence[Sequence[int]], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """(prompts, longest) tokens and mask, with the prompts at the right edge."""
    longest = max(len(prompt) for prompt in prompts)
    tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    for index, prompt in enumerate(prompts):
        tokens[index, longest - len(prompt) :] = torch.tensor(prompt)
        mask[index, longest - len(prompt) :] = 1
    return tokens.to(device), mask.to(device)


@dataclass(slots=True)
class _Tree:
    """Completions as a prefix tree; only what stands before a fork has to be seen by the model.

    Node 0 is the end of the prompt. `forks` lists the nodes where completions part, with the tokens they part into.
    """

    tokens: list[int] = field(default_factory=lambda: [0])
    parents: list[int] = field(default_factory=lambda: [-1])
    depths: list[int] = field(default_factory=lambda: [0])
    forks: list[tuple[int, list[int]]] = field(default_factory=list[tuple[int, list[int]]])
    paths: list[list[tuple[int, int]]] = field(default_factory=list[list[tuple[int, int]]])
    """For each completion, its choices: (index of the fork, index of the token chosen there)."""

    @classmethod
    def of(cls, completions: Sequence[Sequence[int]]) -> _Tree:
        tree = cls(paths=[[] for _ in completions])
        tree._grow(0, completions, list(range(len(completions))), 0)
        return tree

    def _grow(self, node: int, completions: Sequence[Sequence[int]], members: list[int], depth: int) -> None:
        """Follow `members`, which share `depth` tokens that end at `node`."""
        while len(members) > 1:
            choices = sorted({completions[member][depth] for member in members})
            if len(choices) > 1:
                fork = len(self.forks)
                self.forks.append((node, choices))
                for place, token in enumerate(choices):
                    group = [member for member in members if completions[member][depth] == token]
                    for member in group:
                        self.paths[member].append((fork, place))
                    if len(group) > 1:
                        self._grow(self._add(node, token, depth + 1), completions, group, depth + 1)
                return
            node = self._add(node, choices[0], depth + 1)
            depth += 1

    def _add(self, parent: int, token: int, depth: int) -> int:
        self.tokens.append(token)
        self.parents.append(parent)
        self.depths.append(depth)
        return len(self.tokens) - 1


def rank(loaded: Loaded, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
    """How probable each completion is where the model may write only these: one forward pass for a batch of prompts.

    At every fork of the completions' prefix tree the model's probabilities are shared among the branches there; what no
    fork decides costs nothing. `completions` differ, and none is the beginning of another. Each list sums to 1.
    """
    tree = _Tree.of(completions)
    ranked: dict[int, list[float]] = {}
    for indices in _batches([len(prompt) for prompt in prompts]):
        ranked.update(zip(indices, _rank_batch(loaded, [prompts[index] for index in indices], tree), strict=True))
    return [ranked[index] for index in range(len(prompts))]


@torch.inference_mode()
def _rank_batch(loaded: Loaded, prompts: Sequence[Sequence[int]], tree: _Tree) -> list[list[float]]:
    model, device = loaded.model, loaded.device
    longest = max(len(prompt) for prompt in prompts)
    nodes = len(tree.tokens) - 1
    length = longest + nodes
    # Layout: the prompt at the right edge of its part, the tree's nodes behind it, each seeing the prompt and its ancestors.
    tokens = torch.zeros(len(prompts), length, dtype=torch.long)
    positions = torch.zeros(len(prompts), length, dtype=torch.long)
    sees = torch.zeros(len(prompts), length, length, dtype=torch.bool)
    lineage = _lineage(tree)
    for row, prompt in enumerate(prompts):
        first = longest - len(prompt)
        tokens[row, first:longest] = torch.tensor(prompt)
        positions[row, first:longest] = torch.arange(len(prompt))
        sees[row, first:longest, first:longest] = torch.ones(len(prompt), len(prompt), dtype=torch.bool).tril()
        if nodes:
            tokens[row, longest:] = torch.tensor(tree.tokens[1:])
            positions[row, longest:] = torch.tensor(tree.depths[1:]) + len(prompt) - 1
            sees[row, longest:, first:longest] = True
            sees[row, longest:, longest:] = lineage
        sees[row, torch.arange(first), torch.arange(first)] = (
            True  # a filler sees itself: no row of the softmax is empty
        )
    mask = torch.zeros(sees.shape, dtype=loaded.dtype).masked_fill(~sees, torch.finfo(loaded.dtype).min)[:, None]
    hidden = model.base_model(
        input_ids=tokens.to(device), position_ids=positions.to(device), attention_mask=mask.to(device), use_cache=False
    ).last_hidden_state
    forks = torch.tensor([longest - 1 + node for node, _ in tree.forks], device=device)
    logits = model.get_output_embeddings()(hidden[:, forks]).float().cpu()
    results: list[list[float]] = []
    for row in range(len(prompts)):
        shares = [
            torch.softmax(logits[row, fork, choices], -1).tolist() for fork, (_, choices) in enumerate(tree.forks)
        ]
        results.append([_product(shares, path) for path in tree.paths])
    return results


def _product(shares: Sequence[Sequence[float]], path: Sequence[tuple[int, int]]) -> float:
    probability = 1.0
    for fork, place in path:
        probability *= shares[fork][place]
    return probability


def _lineage(tree: _Tree) -> torch.Tensor:
    """(nodes, nodes): whether one node sees another: itself and its ancestors; the prompt's end is not among them."""
    nodes = len(tree.tokens) - 1
    sees = torch.zeros(nodes, nodes, dtype=torch.bool)
    for node in range(1, nodes + 1):
        other = node
        while other > 0:
            sees[node - 1, other - 1] = True
            other = tree.parents[other]
    return sees
