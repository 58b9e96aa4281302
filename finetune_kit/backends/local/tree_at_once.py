"""The whole prefix tree in one forward pass, for any architecture that takes attention masks of its caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.local.tree import Tree

if TYPE_CHECKING:
    import torch


def shares_at_once(loaded: Loaded, prompts: Sequence[Sequence[int]], tree: Tree) -> list[list[list[float]]]:
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


def _laid_out(prompts: Sequence[Sequence[int]], tree: Tree) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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
