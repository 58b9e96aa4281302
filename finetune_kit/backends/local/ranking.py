"""Ranking of a closed set of completions by one forward pass over their prefix tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from finetune_kit.backends.local.generate import BATCH_PROMPTS, batches, check_length
from finetune_kit.backends.local.models import Loaded
from finetune_kit.errors import ParameterError

if TYPE_CHECKING:
    import torch

_MASK_ENTRIES = 32_000_000
"""Of all attention masks of a batch together: it is the whole square of prompt and tree."""


def rank(loaded: Loaded, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
    """How probable each completion is where the model may write only these: one forward pass for a batch of prompts.

    At every fork of the completions' prefix tree the model's probabilities are shared among the branches there; what no
    fork decides costs nothing. All completions end with the same token, which stands nowhere else. Each list sums to 1.
    """
    import torch

    if len({tuple(completion) for completion in completions}) < len(completions):
        raise ParameterError(
            "two of the completions are the same to the model. Give each once.", parameter="completions"
        )
    tree = _Tree.of(completions)
    check_length(loaded, prompts, room=max(tree.depths))
    longest = max(map(len, prompts), default=0) + len(tree.tokens)
    size = max(1, min(BATCH_PROMPTS, _MASK_ENTRIES // longest**2))
    ranked: dict[int, list[float]] = {}
    with torch.inference_mode():
        for indices in batches([len(prompt) for prompt in prompts], size=size):
            shares = _shares(loaded, [prompts[index] for index in indices], tree)
            ranked.update((index, tree.probabilities(row)) for index, row in zip(indices, shares, strict=True))
    return [ranked[index] for index in range(len(prompts))]


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
        waiting = [(0, list(range(len(completions))))]
        while waiting:
            waiting += tree._part(*waiting.pop(), completions)
        return tree

    def _part(self, node: int, members: list[int], completions: Sequence[Sequence[int]]) -> list[tuple[int, list[int]]]:
        """Follow `members`, which are the same up to `node`, to where they part; return the groups that go on."""
        if len(members) < 2:
            return []
        groups: dict[int, list[int]] = {}
        for member in members:
            groups.setdefault(completions[member][self.depths[node]], []).append(member)
        if len(groups) > 1:
            for place, group in enumerate(groups.values()):
                for member in group:
                    self.paths[member].append((len(self.forks), place))
            self.forks.append((node, list(groups)))
        return [(self._add(node, token), group) for token, group in groups.items() if len(group) > 1]

    def _add(self, parent: int, token: int) -> int:
        self.tokens.append(token)
        self.parents.append(parent)
        self.depths.append(self.depths[parent] + 1)
        return len(self.tokens) - 1

    def lineage(self) -> torch.Tensor:
        """(nodes, nodes) without node 0: whether one node sees another, which is itself and its ancestors."""
        import torch

        nodes = len(self.tokens)
        sees = torch.eye(nodes, dtype=torch.bool)
        for node in range(1, nodes):  # parents stand before their children
            sees[node] |= sees[self.parents[node]]
        return sees[1:, 1:]

    def probabilities(self, shares: Sequence[Sequence[float]]) -> list[float]:
        """Each completion's, from the shares of the branches at every fork."""
        result: list[float] = []
        for path in self.paths:
            probability = 1.0
            for fork, place in path:
                probability *= shares[fork][place]
            result.append(probability)
        return result


def _shares(loaded: Loaded, prompts: Sequence[Sequence[int]], tree: _Tree) -> list[list[list[float]]]:
    """For each prompt and each fork, the model's probabilities of the branches among themselves."""
    import torch

    model, device = loaded.model, loaded.device
    tokens, positions, sees = _laid_out(prompts, tree)
    mask = torch.zeros(sees.shape, dtype=loaded.dtype).masked_fill_(~sees, torch.finfo(loaded.dtype).min)[:, None]
    hidden = model.base_model(
        input_ids=tokens.to(device), position_ids=positions.to(device), attention_mask=mask.to(device), use_cache=False
    ).last_hidden_state
    end = tokens.shape[1] - len(tree.tokens)
    forks = torch.tensor([end + node for node, _ in tree.forks], dtype=torch.long, device=device)
    logits = model.get_output_embeddings()(hidden[:, forks]).float().cpu()
    return [[row[fork, choices].softmax(-1).tolist() for fork, (_, choices) in enumerate(tree.forks)] for row in logits]


def _laid_out(prompts: Sequence[Sequence[int]], tree: _Tree) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, positions and who sees whom: each prompt at the right edge of its part, the tree's nodes behind it."""
    import torch

    longest, nodes = max(len(prompt) for prompt in prompts), len(tree.tokens) - 1
    tokens = torch.zeros(len(prompts), longest + nodes, dtype=torch.long)
    positions = torch.zeros_like(tokens)
    sees = torch.zeros(len(prompts), longest + nodes, longest + nodes, dtype=torch.bool)
    tokens[:, longest:] = torch.tensor(tree.tokens[1:])
    sees[:, longest:, longest:] = tree.lineage()
    for row, prompt in enumerate(prompts):
        first = longest - len(prompt)
        tokens[row, first:longest] = torch.tensor(prompt)
        positions[row, first:longest] = torch.arange(len(prompt))
        positions[row, longest:] = torch.tensor(tree.depths[1:]) + len(prompt) - 1
        sees[row, first:longest, first:longest] = True
        sees[row, first:longest, first:longest].tril_()
        sees[row, longest:, first:longest] = True
        sees[row, :first, :first].fill_diagonal_(True)  # a filler sees itself: no row of the softmax is empty
    return tokens, positions, sees
