"""Direct preference optimization (Rafailov et al. 2023): of two answers, the preferred one is to become likelier.

The loss of a pair is -log sigmoid(beta * (margin - reference)), where the margin is by how much the model prefers the
better answer, in log-probability, and the reference is the same of the model that the training starts from. What is to
be learned is only their difference, so one number for each pair is all that is kept of the reference model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

from finetune_kit.backends.local.attention import PackedLayout
from finetune_kit.backends.local.forward import LOGIT_ROWS, Tally
from finetune_kit.backends.local.fused import cross_entropy
from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.local.packing import PADDED_SHARE, ROW_TOKENS, Encoded, PackedRow, lay, round_up
from finetune_kit.backends.local.prefixes import shared
from finetune_kit.errors import EngineError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one question; each has the question's tokens before its own."""

    preferred: Encoded
    other: Encoded
    reference: float = 0.0
    """By how much the model that the training starts from prefers the better answer, in nats."""

    @property
    def tokens(self) -> tuple[int, ...]:
        """Of both."""
        return self.preferred.tokens + self.other.tokens

    @property
    def asked(self) -> tuple[int, ...]:
        """The question: what stands before the first token that counts in either answer, and is the same in both."""
        first = min(_first(self.preferred), _first(self.other))
        return self.preferred.tokens[:first]


@dataclass(frozen=True, slots=True)
class Pairs(Sequence[Pair]):
    """Rows that stand in twos, the preferred answer first."""

    rows: Sequence[Encoded]
    reference: Sequence[float] = ()

    def __len__(self) -> int:
        return len(self.rows) // 2

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        known = self.reference[place] if self.reference else 0.0
        return Pair(self.rows[2 * place], self.rows[2 * place + 1], known)

    def measured(self, loaded: Loaded, heard: Callable[[], None]) -> Pairs:
        """With the reference of each, which is what `loaded` prefers now; `heard` may raise to stop."""
        import torch

        found: list[float] = []
        with torch.no_grad():
            for start in range(0, len(self), MEASURED_AT_ONCE):
                heard()
                found += margins(loaded, self[start : start + MEASURED_AT_ONCE])
        return replace(self, reference=tuple(found))


MEASURED_AT_ONCE = 64
"""Pairs that are laid into rows together where nothing is learned."""


def preference_loss(loaded: Loaded, pairs: Sequence[Pair], beta: float, *, backward_count: int | None = None) -> Tally:
    """Sums over `pairs`; with `backward_count`, gradients of the losses divided by it are added in the model.

    `right` counts the pairs whose preferred answer has become likelier than its reference, beside the other one;
    `margin` sums by how much, times beta: rewards, as DPO has them.
    """
    import torch
    from torch.nn import functional

    whole = Tally()
    for members, row in _rows(loaded, pairs):
        with torch.set_grad_enabled(backward_count is not None):
            told = _Told.of(loaded, row)
        reference = torch.tensor([pair.reference for pair in members], device=loaded.device)
        with torch.no_grad():
            rewards = beta * (told.margins() - reference)
            losses = -functional.logsigmoid(rewards)
        if backward_count is not None:
            # d loss / d log-probability: the better answer's is negative, the other's the same with its sign turned.
            pull = beta * torch.sigmoid(-rewards) / backward_count
            told.backward(torch.stack([pull, -pull], 1).view(-1))
        whole.add(
            Tally(
                loss_sum=float(losses.sum()),
                weight=float(len(members)),
                right=float((rewards > 0).sum()),
                count=float(len(members)),
                margin=float(rewards.sum()),
            )
        )
    return whole


def margins(loaded: Loaded, pairs: Sequence[Pair]) -> list[float]:
    """For each pair, log p(preferred) - log p(other), in nats."""
    import torch

    places = {id(pair): place for place, pair in enumerate(pairs)}
    found = [0.0] * len(pairs)
    with torch.no_grad():
        for members, row in _rows(loaded, pairs):
            for pair, margin in zip(members, _Told.of(loaded, row).margins().tolist(), strict=True):
                found[places[id(pair)]] = margin
    return found


@dataclass(slots=True)
class _Told:
    """Rows of whole pairs behind the model's layers, before its output layer."""

    head: Any
    chosen: torch.Tensor
    """(targets, width): hidden states, with the graph that made them."""
    tokens: torch.Tensor
    owners: torch.Tensor
    """For each target, the answer that it belongs to."""
    answers: int

    @classmethod
    def of(cls, loaded: Loaded, row: tuple[PackedRow, ...]) -> _Told:
        """`row` is one row with all answers, or as many rows as there are answers."""
        import torch

        device = loaded.device
        causal = loaded.causal
        hidden: list[torch.Tensor] = []
        for one in row:
            more = {"packed_layout": PackedLayout.of(one, device)} if loaded.packable else {}
            out = causal.base_model(
                input_ids=torch.tensor([one.tokens], device=device),
                position_ids=torch.tensor([one.positions], device=device),
                use_cache=False,
                **more,
            ).last_hidden_state[0]
            hidden.append(out[torch.tensor([target.place for target in one.targets], device=device)])
        owners = [owner for one in row for owner in _owners(one)]
        if len(row) > 1:
            owners = [number for number, one in enumerate(row) for _ in one.targets]
        return cls(
            head=causal.get_output_embeddings(),
            chosen=torch.cat(hidden),
            tokens=torch.tensor([target.token for one in row for target in one.targets], device=device),
            owners=torch.tensor(owners, device=device),
            answers=max(owners) + 1,
        )

    def margins(self) -> torch.Tensor:
        """(pairs,): by how much each better answer is likelier, in nats."""
        import torch

        each = torch.zeros(self.answers, device=self.chosen.device)
        with torch.no_grad():
            for part in self._parts():
                logits = self.head(self.chosen[part]).float()
                said = logits.gather(1, self.tokens[part, None]).squeeze(1) - logits.logsumexp(1)
                each.index_add_(0, self.owners[part], said)
        return each[0::2] - each[1::2]

    def backward(self, pulls: torch.Tensor) -> None:
        """Gradients of the sum of each answer's negative log-probability times its pull."""
        leaf = self.chosen.detach().requires_grad_(True)
        for part in self._parts():
            cross_entropy(self.head(leaf[part]), self.tokens[part], pulls[self.owners[part]]).backward()
        self.chosen.backward(leaf.grad)

    def _parts(self) -> Iterator[slice]:
        for start in range(0, len(self.tokens), LOGIT_ROWS):
            yield slice(start, start + LOGIT_ROWS)


def _owners(row: PackedRow) -> Iterator[int]:
    """For each target of a row, the number of its example; none lies in the shared beginning."""
    ends: list[int] = []
    end = row.prefix
    for length in row.lengths:
        end += length
        ends.append(end)
    owner = 0
    for target in row.targets:
        # A target at an example's first own token is predicted at the last place of the shared beginning: `asked`
        # leaves that place out of it, so that every target lies in its own example.
        while target.place >= ends[owner]:
            owner += 1
        yield owner


def _rows(loaded: Loaded, pairs: Sequence[Pair]) -> Iterator[tuple[list[Pair], tuple[PackedRow, ...]]]:
    """Whole pairs with the rows they lie in; a question that is long, or shared by many, is laid down once."""
    if not loaded.packable:
        for pair in pairs:
            yield [pair], (lay([pair.preferred], 0), lay([pair.other], 0))
        return
    asked = [pair.asked for pair in pairs for _ in (0, 1)]
    for prefix, halves in shared(asked):
        members = [pairs[half // 2] for half in halves if half % 2 == 0]
        room = max(ROW_TOKENS - prefix, ROW_TOKENS // 2)
        waiting: list[Pair] = []
        laid = 0
        for pair in sorted(members, key=_longest):
            length = len(pair.tokens) - 2 * prefix
            padded = 2 * (len(waiting) + 1) * round_up(_longest(pair) - prefix)
            if waiting and (laid + length > room or padded > PADDED_SHARE * room):
                yield waiting, (_laid(waiting, prefix),)
                waiting, laid = [], 0
            waiting.append(pair)
            laid += length
        if waiting:
            yield waiting, (_laid(waiting, prefix),)


def _laid(pairs: Sequence[Pair], prefix: int) -> PackedRow:
    return lay([one for pair in pairs for one in (pair.preferred, pair.other)], prefix)


def _longest(pair: Pair) -> int:
    return max(len(pair.preferred.tokens), len(pair.other.tokens))


def _first(encoded: Encoded) -> int:
    for index, weight in enumerate(encoded.weights):
        if weight > 0:
            return index
    raise EngineError("a preference pair has an answer without a token that counts.")
