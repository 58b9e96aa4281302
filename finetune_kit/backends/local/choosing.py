"""The next token of every row of a batch, each by its own settings, chosen for all rows together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from finetune_kit.backends.local.writing import Alphabet
from finetune_kit.backends.protocol import Sampling, TokenLogprob, TopLogprob

if TYPE_CHECKING:
    import torch

_LIKELIEST = 256
"""So many tokens are sorted for `top_p`; all, where these are not enough."""


@dataclass(slots=True)
class Chances:
    """What one row's choices depend on besides the model."""

    sampling: Sampling
    number: int
    """The row's own, so that its sample does not depend on its neighbours."""
    random: Random = field(init=False)
    counts: dict[int, int] = field(default_factory=dict[int, int])
    """How often each token was written; kept where penalties ask for it."""

    def __post_init__(self) -> None:
        seed = self.sampling.seed
        self.random = Random() if seed is None else Random(f"{seed} {self.number}")

    @property
    def penalised(self) -> bool:
        """Whether what was written changes what comes."""
        return bool(self.sampling.frequency_penalty or self.sampling.presence_penalty)

    def wrote(self, token: int) -> None:
        """Count a token that was chosen."""
        if self.penalised:
            self.counts[token] = self.counts.get(token, 0) + 1


def choose(logits: torch.Tensor, rows: Sequence[Chances]) -> list[int]:
    """The next token of each row, from logits of shape (rows, vocabulary)."""
    logits = _penalised(logits, rows)
    chosen: list[int] = logits.argmax(-1).tolist()
    drawn = [place for place, row in enumerate(rows) if row.sampling.temperature > 0]
    if drawn:
        picked = logits if len(drawn) == len(rows) else logits[drawn]
        for place, token in zip(drawn, _draw(picked.float(), [rows[place] for place in drawn]), strict=True):
            chosen[place] = token
    return chosen


def told(
    logits: torch.Tensor, chosen: Sequence[int], rows: Sequence[Chances], alphabet: Alphabet
) -> dict[int, TokenLogprob]:
    """By row, how probable the chosen token was to the model itself, with the likeliest ones, for rows that ask."""
    asking = [place for place, row in enumerate(rows) if row.sampling.top_logprobs is not None]
    if not asking:
        return {}
    logprobs = logits[asking].float().log_softmax(-1)
    most = max(row.sampling.top_logprobs or 0 for row in rows)
    best = logprobs.topk(min(most, logprobs.shape[-1]))
    values, tokens = best.values.tolist(), best.indices.tolist()
    result: dict[int, TokenLogprob] = {}
    for line, place in enumerate(asking):
        wanted = rows[place].sampling.top_logprobs or 0
        pairs = list(zip(tokens[line], values[line], strict=True))[:wanted]
        top = tuple(TopLogprob(alphabet.text(token), value, alphabet.as_bytes(token)) for token, value in pairs)
        token = chosen[place]
        own = float(logprobs[line, token])
        result[place] = TokenLogprob(alphabet.text(token), own, alphabet.as_bytes(token), top)
    return result


def _penalised(logits: torch.Tensor, rows: Sequence[Chances]) -> torch.Tensor:
    """Less for every token that was written: `frequency_penalty` each time, `presence_penalty` once, as OpenAI does."""
    import torch

    lines: list[int] = []
    tokens: list[int] = []
    less: list[float] = []
    for place, row in enumerate(rows):
        if row.counts:
            often, once = row.sampling.frequency_penalty, row.sampling.presence_penalty
            lines += [place] * len(row.counts)
            tokens += row.counts
            less += [often * count + once for count in row.counts.values()]
    if not lines:
        return logits
    lowered = logits.float()  # a copy where the model computes in bfloat16
    lowered = lowered.clone() if lowered is logits else lowered
    device = logits.device
    lowered.index_put_(
        (torch.tensor(lines, device=device), torch.tensor(tokens, device=device)),
        -torch.tensor(less, device=device, dtype=torch.float32),
        accumulate=True,
    )
    return lowered


def _draw(logits: torch.Tensor, rows: Sequence[Chances]) -> list[int]:
    """One sample for each row: its own random number, looked up in its cumulated probabilities."""
    import torch

    device = logits.device
    temperatures = torch.tensor([row.sampling.temperature for row in rows], device=device)
    scaled = (logits - logits.max(-1, keepdim=True).values) / temperatures[:, None]
    probabilities = scaled.softmax(-1)
    numbers = torch.tensor([row.random.random() for row in rows], dtype=torch.float64)
    result = [0] * len(rows)
    whole = [place for place, row in enumerate(rows) if row.sampling.top_p >= 1]
    if whole:
        for place, token in zip(whole, _looked_up(probabilities[whole], numbers[whole]), strict=True):
            result[place] = token
    narrow = [place for place, row in enumerate(rows) if row.sampling.top_p < 1]
    if narrow:
        tops = torch.tensor([rows[place].sampling.top_p for place in narrow], device=device)
        ordered, order = _nucleus(probabilities[narrow], tops)
        picked = _looked_up(ordered, numbers[narrow])
        for place, line, among in zip(narrow, order, picked, strict=True):
            result[place] = int(line[among])
    return result


def _nucleus(probabilities: torch.Tensor, tops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest tokens that make up `tops` together, one at least, the others 0; and which tokens they are."""
    ordered, order = probabilities.topk(min(_LIKELIEST, probabilities.shape[-1]))
    if bool((ordered.sum(-1) < tops).any()):
        ordered, order = probabilities.sort(descending=True)
    beyond = ordered.cumsum(-1) - ordered >= tops[:, None]
    beyond[:, 0] = False
    return ordered.masked_fill(beyond, 0.0), order


def _looked_up(probabilities: torch.Tensor, numbers: torch.Tensor) -> list[int]:
    """The place at which each row's cumulated probabilities pass its random number."""
    cumulated = probabilities.double().cumsum(-1)
    wanted = numbers.to(cumulated.device)[:, None] * cumulated[:, -1:]
    places = (cumulated > wanted).to(probabilities.dtype).argmax(-1)  # the first one that is beyond
    result: list[int] = places.tolist()
    return result
