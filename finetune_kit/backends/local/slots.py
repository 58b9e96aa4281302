"""Keys and values of the rows that are being answered, in one block of memory that grows in steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from finetune_kit.backends.local.decoder import Decoder, Layout

if TYPE_CHECKING:
    import torch

_FIRST_ROWS = 4
_FIRST_PLACES = 64


def bucket(wanted: int, smallest: int) -> int:
    """The next of few sizes, each twice the one before, so that growing is rare."""
    size = smallest
    while size < wanted:
        size *= 2
    return size


@dataclass(slots=True)
class SlotCache:
    """(layers, rows, places, width): the first rows are in use, each from its first place on."""

    decoder: Decoder
    storage: torch.Tensor = field(init=False)
    lengths: list[int] = field(default_factory=list[int])
    """Places taken in each row in use."""

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all rows and give their memory back."""
        self.storage = self._empty(0, 0)
        self.lengths = []

    def _empty(self, rows: int, places: int) -> torch.Tensor:
        import torch

        decoder = self.decoder
        shape = (len(decoder.layers), rows, places, decoder.cache_width)
        return torch.zeros(shape, dtype=decoder.dtype, device=decoder.device)

    def reserve(self, rows: int, places: int) -> None:
        """Make room for so many rows and places in each."""
        _, had_rows, had_places, _ = self.storage.shape
        if rows <= had_rows and places <= had_places:
            return
        grown = self._empty(bucket(rows, max(_FIRST_ROWS, had_rows)), bucket(places, max(_FIRST_PLACES, had_places)))
        grown[:, :had_rows, :had_places] = self.storage
        self.storage = grown

    def add(self, prefixes: Sequence[torch.Tensor | None]) -> None:
        """New rows behind the others, each begun by keys and values of shape (layers, places, width)."""
        longest = max((prefix.shape[1] for prefix in prefixes if prefix is not None), default=1)
        self.reserve(len(self.lengths) + len(prefixes), longest)
        for prefix in prefixes:
            length = 0 if prefix is None else prefix.shape[1]
            if prefix is not None:
                self.storage[:, len(self.lengths), :length] = prefix
            self.lengths.append(length)

    def taken(self, row: int, length: int) -> torch.Tensor:
        """A copy of a row's first places."""
        return self.storage[:, row, :length].clone()

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Keep some rows; return their old numbers in their new order, in which the last ones fill the gaps."""
        order = list(range(len(self.lengths)))
        gone = sorted(set(order) - set(rows), reverse=True)
        for row in gone:
            last = len(order) - 1
            if row != last:
                length = self.lengths[last]
                self.storage[:, row, :length] = self.storage[:, last, :length]
                order[row], self.lengths[row] = order[last], length
            order.pop()
            self.lengths.pop()
        if not order:
            self.clear()
        return order

    def one_each(self, rows: int) -> Layout:
        """The layout of one more token in each of the first `rows`."""
        import torch

        lengths, device = self.lengths[:rows], self.decoder.device
        visible = max(lengths) + 1
        self.reserve(len(self.lengths), visible)
        places = torch.tensor(lengths, device=device)
        hidden = torch.arange(visible, device=device) > places[:, None]
        mask = torch.zeros(hidden.shape, dtype=self.decoder.dtype, device=device).masked_fill_(hidden, -torch.inf)
        self.lengths[:rows] = [length + 1 for length in lengths]
        return Layout(
            torch.arange(rows, device=device), places, places, 0, rows, visible, mask[:, None, None], None, None
        )

    def several(self, first_row: int, counts: Sequence[int]) -> Layout:
        """The layout of so many more tokens in each of the rows from `first_row` on, each seeing what is before it."""
        import torch

        before = torch.tensor(self.lengths[first_row : first_row + len(counts)])
        longest = max(counts)
        steps = torch.arange(longest)
        ends = before[:, None] + steps.minimum(torch.tensor(counts)[:, None] - 1)
        sees = torch.arange(int(ends.max()) + 1) <= ends[:, :, None]
        positions = torch.cat([steps[:count] + start for count, start in zip(counts, before, strict=True)])
        return self.laid_out(first_row, counts, positions, sees)

    def laid_out(self, first_row: int, counts: Sequence[int], positions: torch.Tensor, sees: torch.Tensor) -> Layout:
        """The layout of so many more tokens in each row; `sees` is (rows, most tokens of a row, visible places)."""
        import torch

        decoder, rows, longest = self.decoder, len(counts), max(counts)
        starts = self.lengths[first_row : first_row + rows]
        self.reserve(len(self.lengths), max(start + count for start, count in zip(starts, counts, strict=True)))
        steps = torch.arange(longest)
        there = steps < torch.tensor(counts)[:, None]
        to_blocks = torch.zeros(rows, longest, dtype=torch.long)
        to_blocks[there] = torch.arange(sum(counts))
        mask = torch.zeros(sees.shape, dtype=decoder.dtype).masked_fill_(~sees, -torch.inf)
        group = decoder.heads // decoder.key_heads
        for place, count in enumerate(counts):
            self.lengths[first_row + place] += count
        device = decoder.device
        return Layout(
            rows=torch.arange(first_row, first_row + rows).repeat_interleave(torch.tensor(counts)).to(device),
            places=(torch.tensor(starts)[:, None] + steps)[there].to(device),
            positions=positions.to(device),
            first_row=first_row,
            last_row=first_row + rows,
            visible=sees.shape[2],
            mask=mask[:, None].repeat(1, 1, group, 1).to(device),
            to_blocks=to_blocks.view(-1).to(device),
            to_tokens=torch.arange(rows * longest).view(rows, longest)[there].to(device),
        )
