"""Rows of one model that are written together; new ones join and finished ones leave between two tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from finetune_kit.backends.local.adapters import Adapter, Deltas, Stack
from finetune_kit.backends.local.decoder import Decoder, Layout
from finetune_kit.backends.local.prefix_cache import SHORTEST, Prefixes, Tokens
from finetune_kit.backends.local.slots import SlotCache, bucket

if TYPE_CHECKING:
    import torch

MOST_ROWS = 64
CACHE_BYTES = 1 << 30
"""Of the keys and values of all rows; who does not fit waits until others have finished."""
_TOKENS_AT_ONCE = 1024
"""Of prompts in one pass, which bounds its memory."""
_TOKENS_BETWEEN = 128
"""The same while others are being answered: each of them gets a token after every piece."""
_KEPT_STACKS = 4
_WORTH_A_PASS = 64
"""Tokens that other prompts must save for one to go before them alone."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a row begins with."""

    tokens: Tokens
    most: int
    """Tokens that it may grow to, the prompt's included."""
    adapter: Adapter | None = None


class Batch(Protocol):
    """Rows that are written together, in an order that `keep` changes."""

    def room(self, waiting: Sequence[Prompt]) -> int:
        """How many of those that wait may join now."""
        ...

    def add(self, prompts: Sequence[Prompt], meanwhile: Callable[[], None] | None = None) -> torch.Tensor:
        """Let them join behind the others; (prompts, vocabulary), what comes after each.

        `meanwhile` is called between two pieces of what is read, and may `step` in the rows that were there before.
        """
        ...

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """One token more in every row, or in the first ones; (rows, vocabulary), what comes after it."""
        ...

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Keep some rows; return their old numbers in their new order."""
        ...

    def clear(self) -> None:
        """Forget all rows, whatever state they are in."""
        ...


@dataclass(slots=True)
class SlotBatch:
    """Rows in a `SlotCache`, with kept prefixes, each row by its own adapter."""

    decoder: Decoder
    prefixes: Prefixes
    most_rows: int = MOST_ROWS
    most_bytes: int = CACHE_BYTES
    cache: SlotCache = field(init=False)
    _owners: list[Adapter | None] = field(default_factory=list["Adapter | None"])
    _most: list[int] = field(default_factory=list[int])
    _stacks: dict[tuple[Adapter, ...], Stack] = field(default_factory=dict[tuple[Adapter, ...], Stack])

    def __post_init__(self) -> None:
        self.cache = SlotCache(self.decoder)

    def room(self, waiting: Sequence[Prompt]) -> int:
        """As rows and bytes allow; one that waits for an empty batch always fits."""
        decoder = self.decoder
        of_place = len(decoder.layers) * decoder.cache_width * decoder.embedding.element_size()
        rows, longest, tokens = len(self._owners), max(self._most, default=0), 0
        for count, prompt in enumerate(waiting):
            rows, longest, tokens = rows + 1, max(longest, prompt.most), tokens + len(prompt.tokens)
            full = bucket(rows, 1) * bucket(longest, 1) * of_place > self.most_bytes
            if rows > self.most_rows or (rows > 1 and full) or (count and tokens > 4 * _TOKENS_AT_ONCE):
                return count
        return len(waiting)

    def add(self, prompts: Sequence[Prompt], meanwhile: Callable[[], None] | None = None) -> torch.Tensor:
        """The logits after each prompt."""
        return self.decoder.head(self.prefill(prompts, meanwhile))

    def prefill(self, prompts: Sequence[Prompt], meanwhile: Callable[[], None] | None = None) -> torch.Tensor:
        """(prompts, width): what the model has made of their last tokens.

        What several prompts begin with is computed once, and kept where prompts of later calls may want it.
        """
        import torch

        first = len(self._owners)
        shared = self._shared(prompts)
        ends: list[torch.Tensor] = []
        place = 0
        try:
            while place < len(prompts):
                if place and meanwhile is not None:
                    meanwhile()
                size = self._together(prompts[place:], shared[place:], _at_once(meanwhile))
                ends.append(self._pass(prompts[place : place + size], meanwhile))
                for index in range(place, place + size):
                    self._keep_prefix(prompts[index], shared[index], first + index)
                place += size
        except BaseException:
            del self.cache.lengths[first:], self._owners[first:], self._most[first:]
            raise
        return torch.cat(ends)

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """The next logits of every row."""
        import torch

        layout = self.cache.one_each(len(tokens))
        ids = torch.tensor(tokens, device=self.decoder.device)
        return self.decoder.head(self.decoder.hidden(ids, layout, self.cache, self.deltas(layout)))

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Free the places of all others."""
        order = self.cache.keep(rows)
        self._owners = [self._owners[row] for row in order]
        self._most = [self._most[row] for row in order]
        return order

    def clear(self) -> None:
        """Free everything but the kept prefixes."""
        self.cache.clear()
        self._owners, self._most = [], []

    def deltas(self, layout: Layout) -> Deltas | None:
        """What adapters add to the tokens of a pass; None where none of its rows has one."""
        owners = self._owners[layout.first_row : layout.last_row]
        wanted = {id(owner): owner for owner in owners if owner is not None}
        if not wanted:
            return None
        adapters = tuple(wanted[key] for key in sorted(wanted))
        if adapters not in self._stacks:
            if len(self._stacks) >= _KEPT_STACKS:
                self._stacks.pop(next(iter(self._stacks)))
            self._stacks[adapters] = Stack.of(adapters, len(self.decoder.layers), self.decoder.embedding)
        return Deltas.of(self._stacks[adapters], owners, layout.rows - layout.first_row)

    def _pass(self, prompts: Sequence[Prompt], meanwhile: Callable[[], None] | None) -> torch.Tensor:
        """New rows for prompts that go through the model together, a very long one in several passes."""
        import torch

        first, at_once = len(self._owners), _at_once(meanwhile)
        known = [self.prefixes.longest(prompt.tokens, prompt.adapter) for prompt in prompts]
        self.cache.add(known)
        self._owners += [prompt.adapter for prompt in prompts]
        self._most += [prompt.most for prompt in prompts]
        parts = [prompt.tokens[length:] for prompt, length in zip(prompts, self.cache.lengths[first:], strict=True)]
        while True:
            now = [part[:at_once] for part in parts]
            counts = [len(part) for part in now]
            layout = self.cache.several(first, counts)
            ids = torch.tensor([token for part in now for token in part], device=self.decoder.device)
            hidden = self.decoder.hidden(ids, layout, self.cache, self.deltas(layout))
            parts = [part[at_once:] for part in parts]
            if not any(parts):
                return hidden[torch.tensor(counts, device=self.decoder.device).cumsum(0) - 1]
            if meanwhile is not None:
                meanwhile()

    def _together(self, prompts: Sequence[Prompt], shared: Sequence[int], at_once: int) -> int:
        """How many of the prompts go through the model now: one, where the others are to begin with what it leaves."""
        tokens = 0
        for count, (prompt, length) in enumerate(zip(prompts, shared, strict=True)):
            known = self._known(prompt)
            tokens += len(prompt.tokens) - known
            if count and tokens > at_once:
                return count
            begun = prompt.tokens[:length]
            others = [other for other in prompts[count + 1 :] if other.tokens[:length] == begun]
            if others and length - known >= SHORTEST and len(others) * (length - known) >= _WORTH_A_PASS:
                return count or 1
        return len(prompts)

    def _known(self, prompt: Prompt) -> int:
        kept = self.prefixes.longest(prompt.tokens, prompt.adapter)
        return 0 if kept is None else kept.shape[1]

    def _keep_prefix(self, prompt: Prompt, length: int, row: int) -> None:
        if length - self._known(prompt) >= SHORTEST:
            self.prefixes.keep(prompt.tokens[:length], prompt.adapter, self.cache.taken(row, length))

    def _shared(self, prompts: Sequence[Prompt]) -> list[int]:
        """How many tokens each prompt has in common with another one."""
        lengths = [0] * len(prompts)
        owners: dict[Adapter | None, list[int]] = {}
        for place, prompt in enumerate(prompts):
            owners.setdefault(prompt.adapter, []).append(place)
        for adapter, places in owners.items():
            tokens = [prompts[place].tokens for place in places]
            for place, length in zip(places, self.prefixes.shared(tokens, adapter), strict=True):
                lengths[place] = length
            self.prefixes.remember(tokens, adapter)
        return lengths


def _at_once(meanwhile: Callable[[], None] | None) -> int:
    return _TOKENS_AT_ONCE if meanwhile is None else _TOKENS_BETWEEN
