"""Packed rows through the model: losses only where they have weight, logits for a few positions at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune_kit.backends.local.attention import PackedLayout
from finetune_kit.backends.local.fused import cross_entropy
from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.local.packing import Encoded, PackedRow, pack

LOGIT_ROWS = 128
"""Positions whose logits exist at one time: 128 x 49,152 float32 numbers are 25 MB."""


@dataclass(slots=True)
class Tally:
    """What went through the model showed, in sums: so that parts of a batch can be added."""

    loss_sum: float = 0.0
    weight: float = 0.0
    right: float = 0.0
    count: float = 0.0
    margin: float = 0.0
    """Of preference pairs: rewards of the preferred answers less those of the others."""

    def add(self, other: Tally) -> None:
        """Take in what another row showed."""
        self.loss_sum += other.loss_sum
        self.weight += other.weight
        self.right += other.right
        self.count += other.count
        self.margin += other.margin


def rows_of(loaded: Loaded, examples: Sequence[Encoded]) -> list[PackedRow]:
    """`examples` as rows for the model: several in one where its attention can keep them apart."""
    if loaded.packable:
        return pack(examples)
    return [row for example in examples for row in pack([example])]


def forward(loaded: Loaded, row: PackedRow, *, backward_weight: float | None = None) -> Tally:
    """One row through the model; with `backward_weight`, its gradients are added, each loss divided by it."""
    import torch

    device = loaded.device
    causal = loaded.causal
    more = {"packed_layout": PackedLayout.of(row, device)} if loaded.packable else {}
    hidden = causal.base_model(
        input_ids=torch.tensor([row.tokens], device=device),
        position_ids=torch.tensor([row.positions], device=device),
        use_cache=False,
        **more,
    ).last_hidden_state[0]
    if not row.targets:
        return Tally()
    places, tokens, weights, full = (torch.tensor(column, device=device) for column in zip(*row.targets, strict=True))
    chosen = hidden[places]
    leaf = chosen.detach().requires_grad_(backward_weight is not None)
    divisor = 1.0 if backward_weight is None else backward_weight
    result = Tally()
    head = causal.get_output_embeddings()
    for start in range(0, len(tokens), LOGIT_ROWS):
        part = slice(start, start + LOGIT_ROWS)
        logits = head(leaf[part])
        loss = cross_entropy(logits, tokens[part], weights[part] / divisor)
        if backward_weight is not None:
            loss.backward()
        result.loss_sum += float(loss.detach()) * divisor
        result.weight += float(weights[part].sum())
        first = logits.detach().float().argmax(-1)  # in bfloat16 a processor takes five times as long for it
        result.right += float(((first == tokens[part]) * full[part]).sum())
        result.count += float(full[part].sum())
    if backward_weight is not None:
        chosen.backward(leaf.grad)
    return result
