"""Ids as the real host makes them, the same for the same seed."""

from __future__ import annotations

import random
import string

_LETTERS = string.ascii_letters + string.digits


class Names:
    """Gives names that were not given before."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def new(self, prefix: str, characters: int = 24) -> str:
        """A prefix and random letters."""
        left, letters = self._random.getrandbits(6 * characters), ""
        for _ in range(characters):
            left, place = divmod(left, len(_LETTERS))
            letters += _LETTERS[place]
        return prefix + letters

    def hexadecimal(self, prefix: str) -> str:
        """A prefix and 32 hexadecimal digits, as at Azure."""
        return f"{prefix}{self._random.getrandbits(128):032x}"

    def number(self, below: int) -> int:
        """A number, such as the seed of a job that was given none."""
        return self._random.randrange(below)
