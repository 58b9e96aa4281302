"""Beginnings that prompts share: found by their tokens, their keys and values kept for the next prompts."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from finetune_kit.backends.local.prefixes import common

if TYPE_CHECKING:
    import torch

    from finetune_kit.backends.local.adapters import Adapter

Tokens: TypeAlias = tuple[int, ...]

SHORTEST = 16
"""Tokens that a shared beginning must save to be worth its copy."""
PREFIX_BYTES = 256 << 20
"""Of all kept beginnings of one base model; the embedded one takes 23 KB for a token."""
_RECENT_PROMPTS = 64


@dataclass(slots=True)
class _Book:
    """What is known for one adapter, or for the base without any."""

    kept: list[Tokens] = field(default_factory=list[Tokens])
    """Sorted, so that the one with most in common with a prompt is a neighbour of where the prompt would stand."""
    recent: deque[Tokens] = field(default_factory=lambda: deque[Tokens](maxlen=_RECENT_PROMPTS))


@dataclass(slots=True)
class Prefixes:
    """Keys and values of shared beginnings, bounded in bytes; what was not used for longest leaves first."""

    most_bytes: int = PREFIX_BYTES
    size_bytes: int = 0
    _books: dict[Adapter | None, _Book] = field(default_factory=dict["Adapter | None", _Book])
    _states: OrderedDict[tuple[Adapter | None, Tokens], torch.Tensor] = field(
        default_factory=OrderedDict["tuple[Adapter | None, Tokens]", "torch.Tensor"]
    )

    def longest(self, prompt: Tokens, adapter: Adapter | None) -> torch.Tensor | None:
        """(layers, tokens, width) of the longest kept beginning; the prompt's last token is never in it."""
        book = self._books.get(adapter)
        if book is None:
            return None
        at = bisect_left(book.kept, prompt)
        found, best = 0, None
        for kept in book.kept[max(0, at - 1) : at + 1]:
            length = min(common(kept, prompt), len(prompt) - 1)
            if length > found:
                found, best = length, kept
        if best is None or found < SHORTEST:
            return None
        self._states.move_to_end((adapter, best))
        return self._states[adapter, best][:, :found]

    def shared(self, prompts: Sequence[Tokens], adapter: Adapter | None) -> list[int]:
        """How many tokens each prompt begins with in common with another one, or with one of the last calls."""
        book = self._books.setdefault(adapter, _Book())
        order = sorted(
            [*((prompt, place) for place, prompt in enumerate(prompts)), *((one, -1) for one in book.recent)]
        )
        lengths = [0] * len(prompts)
        for (one, place), (other, other_place) in pairwise(order):
            length = common(one, other)
            for prompt, at in ((one, place), (other, other_place)):
                if at >= 0:
                    lengths[at] = max(lengths[at], min(length, len(prompt) - 1))
        return lengths

    def remember(self, prompts: Sequence[Tokens], adapter: Adapter | None) -> None:
        """Know prompts again by their tokens alone."""
        self._books.setdefault(adapter, _Book()).recent.extend(prompts)

    def keep(self, tokens: Tokens, adapter: Adapter | None, state: torch.Tensor) -> None:
        """Keep a beginning's keys and values, where they are not larger than all that may be kept."""
        size = state.numel() * state.element_size()
        if size > self.most_bytes or (adapter, tokens) in self._states:
            return
        self._states[adapter, tokens] = state
        insort(self._books.setdefault(adapter, _Book()).kept, tokens)
        self.size_bytes += size
        while self.size_bytes > self.most_bytes:
            (owner, oldest), gone = self._states.popitem(last=False)
            self._books[owner].kept.remove(oldest)
            self.size_bytes -= gone.numel() * gone.element_size()

    def forget(self, adapter: Adapter | None) -> None:
        """Drop what was kept for an adapter that is gone."""
        self._books.pop(adapter, None)
        for key in [key for key in self._states if key[0] is adapter]:
            gone = self._states.pop(key)
            self.size_bytes -= gone.numel() * gone.element_size()
