"""Ranking of a closed set of completions: their prefix tree behind each prompt, as far as the model may go into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from finetune_kit.backends.local.adapters import Adapter
from finetune_kit.backends.local.batch import Prompt, SlotBatch
from finetune_kit.backends.local.decoder import Decoder
from finetune_kit.backends.local.generate import Answering, answering, check_length
from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.local.prefix_cache import Prefixes
from finetune_kit.backends.local.tree import Tree
from finetune_kit.backends.local.tree_at_once import shares_at_once
from finetune_kit.backends.local.tree_by_levels import shares_by_levels
from finetune_kit.errors import ParameterError

_PROMPTS_AT_ONCE = 32
_MASK_ENTRIES = 32_000_000
"""Of all attention masks of a batch together: it is the whole square of prompt and tree."""


def rank(loaded: Loaded, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
    """`rank_by` with a model that serves nobody else."""
    with answering(loaded) as model:
        return rank_by(model, prompts, completions)


def rank_by(
    model: Answering, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
) -> list[list[float]]:
    """How probable each completion is where the model may write only these.

    At every fork of the completions' prefix tree the model's probabilities are shared among the branches there; what no
    fork decides costs nothing. All completions end with the same token, which stands nowhere else. Each list sums to 1.
    """
    if len({tuple(completion) for completion in completions}) < len(completions):
        raise ParameterError(
            "two of the completions are the same to the model. Give each once.", parameter="completions"
        )
    served, tree = model.served, Tree.of(completions)
    check_length(served.loaded.context_tokens, prompts, room=max(tree.depths))
    if not tree.forks:
        return [[1.0] for _ in prompts]
    ranked: dict[int, list[float]] = {}
    for indices in _batches(prompts, tree):
        batch = [prompts[index] for index in indices]

        def work(batch: list[Sequence[int]] = batch) -> list[list[list[float]]]:
            if served.decoder is None:
                return shares_at_once(served.loaded, batch, tree)
            return _shares(served.decoder, served.prefixes, batch, tree, model.adapter)

        shares = served.scheduler.run(work)
        ranked.update((index, tree.probabilities(one)) for index, one in zip(indices, shares, strict=True))
    return [ranked[index] for index in range(len(prompts))]


def _batches(prompts: Sequence[Sequence[int]], tree: Tree) -> Iterator[list[int]]:
    """Indices of prompts that go through the model together: those of like length."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    longest = max(map(len, prompts), default=0) + len(tree.tokens)
    size = max(1, min(_PROMPTS_AT_ONCE, _MASK_ENTRIES // longest**2))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _shares(
    decoder: Decoder, prefixes: Prefixes, prompts: Sequence[Sequence[int]], tree: Tree, adapter: Adapter | None
) -> list[list[list[float]]]:
    """By levels, in rows of their own beside those that are being written."""
    batch = SlotBatch(decoder, prefixes)
    common = tree.common()
    begun = [(*prompt, *common) for prompt in prompts]
    rows = [Prompt(tokens, len(tokens) + len(tree.tokens), adapter) for tokens in begun]
    return shares_by_levels(batch, rows, tree)
