"""Which rows end with the mark that most likely was put behind prompts or completions; looked up in all rows."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import orjson

from finetune_kit.rows import Batch, Rows
from finetune_kit.templates import SEPARATORS, STOPS
from finetune_kit.validators.affixes import likely_mark
from finetune_kit.validators.sample import sample_of

FEWEST_ROWS = 5
"""With fewer, texts end alike by chance."""

# In canonical JSON these stand between the two texts and behind them, and nowhere else.
_AFTER_PROMPT = b'","completion":"'
_AFTER_COMPLETION = b'"}\n'
_KNOWN = frozenset({*SEPARATORS, *STOPS} - {"\n"})
# Of all rows: fewer may end so by themselves, as code does.
_ENOUGH, _ENOUGH_OF_KNOWN = 0.05, 0.01


@dataclass(slots=True)
class Ending:
    """A mark at the end of prompts, or of completions, and the rows that do not go with the others."""

    mark: str
    """Empty where there is none."""
    rows: int
    without: array[int] = field(default_factory=lambda: array("Q"))
    """Rows that do not end with it."""
    inside: array[int] = field(default_factory=lambda: array("Q"))
    """Rows that end with it and hold it before."""
    places: array[int] = field(default_factory=lambda: array("Q"))
    """Where in each of these it stands first."""

    @property
    def having(self) -> int:
        """How many rows end with it."""
        return self.rows - len(self.without)

    @property
    def everywhere(self) -> bool:
        """Whether it ends every text."""
        return bool(self.mark) and not self.without

    @property
    def usual(self) -> bool:
        """Whether at least half of the texts end with it."""
        return bool(self.mark) and self.having * 2 >= self.rows

    @property
    def mixed(self) -> bool:
        """Whether some texts end with it, enough of them that it is no accident, and others do not."""
        enough = _ENOUGH_OF_KNOWN if self.mark in _KNOWN else _ENOUGH
        return bool(self.mark and self.without) and self.having >= self.rows * enough


def prompt_ending(batch: Batch) -> Ending:
    """The separator behind the prompts of the set that the batch belongs to."""
    prompts = batch.view(sample_of).prompts
    mark = "" if len(set(prompts)) < 2 else likely_mark(prompts, stops=False)
    return _look(batch.rows, mark, _AFTER_PROMPT)


def completion_ending(batch: Batch) -> Ending:
    """The stop sequence behind the completions of the set that the batch belongs to."""
    completions = batch.view(sample_of).completions
    mark = "" if len(set(completions)) < 2 else likely_mark(completions, stops=True)
    return _look(batch.rows, mark, _AFTER_COMPLETION)


def _look(rows: Rows, mark: str, behind: bytes) -> Ending:
    found = Ending(mark, len(rows))
    if len(rows) < FEWEST_ROWS:
        found.mark = ""
    if not found.mark:
        return found
    escaped = orjson.dumps(mark)[1:-1]
    for part in rows.batches():
        # Most sets have the mark once in every row, and need no closer look.
        if _all_end(part.raw.data, escaped, behind, len(part)) and part.raw.data.count(escaped) == len(part):
            continue
        texts = part.prompts if behind == _AFTER_PROMPT else part.completions
        for row, text in enumerate(texts, part.start):
            if not text.endswith(mark):
                found.without.append(row)
            elif (place := text.find(mark, 0, -len(mark))) >= 0:
                found.inside.append(row)
                found.places.append(place)
    return found


def _all_end(contents: bytes, mark: bytes, behind: bytes, rows: int) -> bool:
    """Whether all texts end with the mark as JSON writes it, and none with a backslash and the letters of the mark."""
    if mark.startswith(b"\\") and b"\\" + mark + behind in contents:
        return False
    if behind == _AFTER_PROMPT:
        return contents.count(mark + behind) == rows
    end = mark + behind[:-1]  # looked for at the end of each line, far faster than a few bytes in all of them
    return all(line.endswith(end) for line in contents[:-1].split(b"\n"))
