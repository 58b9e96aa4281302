"""OpenAI's tokenizers, by the package that is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

from finetune_kit._extras import installed, missing, require
from finetune_kit.tokens.estimate import Estimate

# Two packages can do it, both exact, both MIT, both with the vocabularies in the wheel. quicktok-v1 is taken where it
# has wheels (3.11 to 3.13: Linux, macOS, Windows): 3 to 7 times tiktoken's speed, 4 MB, and it lets other threads run.
# bpe-openai, one wheel of 41 MB for every Python from 3.9 on, is 1.4 to 2.3 times as fast as tiktoken: it serves 3.14.
EXACT = frozenset({"cl100k_base", "o200k_base"})
"""The vocabularies that these packages hold."""

_PURPOSE = "counting tokens exactly"

# The longest beginning decides. For models that no host profile holds.
_FAMILIES = {
    "gpt-4o": "o200k_base",
    "gpt-4.": "o200k_base",
    "gpt-5": "o200k_base",
    "gpt-oss": "o200k_base",
    "chatgpt-4o": "o200k_base",
    "o1": "o200k_base",
    "o3": "o200k_base",
    "o4": "o200k_base",
    "gpt-4": "cl100k_base",
    "gpt-3.5": "cl100k_base",
    "babbage-002": "cl100k_base",
    "davinci-002": "cl100k_base",
    "ada": "r50k_base",
    "babbage": "r50k_base",
    "curie": "r50k_base",
    "davinci": "r50k_base",
}


class Piece(NamedTuple):
    """A token's text, or that of several tokens which only together are whole characters."""

    text: str
    tokens: int


class Tokenizer(Protocol):
    """Counts the tokens of plain text; markers such as `<|endoftext|>` in it are text too."""

    @property
    def encoding(self) -> str | None:
        """The vocabulary, such as `o200k_base`; None where it is unknown."""
        ...

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def exact(self) -> bool:
        """Whether it counts what the model sees; otherwise `low` and `high` tell how far off it may be."""
        ...

    @property
    def low(self) -> float:
        """The truth is at least so many times the count; 1 where it is exact."""
        ...

    @property
    def high(self) -> float:
        """The truth is at most so many times the count; 1 where it is exact."""
        ...

    def count(self, text: str) -> int:
        """How many tokens."""
        ...

    def split(self, text: str) -> Sequence[Piece] | None:
        """The tokens themselves, or None where only their number is known."""
        ...


@dataclass(frozen=True, slots=True)
class _BytePairs:
    encoding: str
    _count: Callable[[str], int]
    _encode: Callable[[str], Iterable[int]]
    _decode: Callable[[list[int]], str]
    """`ValueError` where the tokens are not whole characters."""
    exact: bool = True
    low: float = 1.0
    high: float = 1.0

    @property
    def name(self) -> str:
        return self.encoding

    def count(self, text: str) -> int:
        try:
            return self._count(text)
        except (TypeError, UnicodeEncodeError):  # half of a surrogate pair; rows never hold one
            return self._count(_whole(text))

    def split(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        begun: list[int] = []
        for token in self._encode(_whole(text)):
            begun.append(token)
            try:
                pieces.append(Piece(self._decode(begun), len(begun)))
            except ValueError:  # the rest of the character is in the next token
                continue
            begun = []
        return pieces


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def tokenizer(encoding: str | None, *, estimate: bool = True) -> Tokenizer:
    """The tokenizer of a vocabulary such as `o200k_base`.

    Where it cannot be had, an estimate; with `estimate=False`, `MissingExtraError` where the extra `tokens` would help.
    """
    if encoding in EXACT:
        found = _exact(encoding)
        if found is not None:
            return found
        if not estimate:
            raise missing("quicktok", extra="tokens", purpose=_PURPOSE)
    return Estimate(encoding)


def encoding_of(model: str) -> str | None:
    """The vocabulary of OpenAI's models, by how the name begins; None for those of others."""
    name = model.removeprefix("ft:")
    begin = max((family for family in _FAMILIES if name.startswith(family)), key=len, default=None)
    return None if begin is None else _FAMILIES[begin]


@cache
def _exact(encoding: str) -> _BytePairs | None:
    if installed("quicktok"):
        return _quicktok(encoding)
    return _bpe_openai(encoding) if installed("bpe_openai") else None


def _quicktok(encoding: str) -> _BytePairs:
    found = require("quicktok", extra="tokens", purpose=_PURPOSE).get_encoding(encoding)
    bytes_of: Callable[[int], bytes] = found.decode_single_token_bytes
    return _BytePairs(
        encoding, found.count, found.encode_ordinary, lambda tokens: b"".join(map(bytes_of, tokens)).decode()
    )


def _bpe_openai(encoding: str) -> _BytePairs:
    # Its public class knows no `count` and refuses a million characters; the module below it has neither fault.
    bindings = require("bpe_openai._bindings", extra="tokens", purpose=_PURPOSE)
    found = bindings.tokenizer_for_encoding(encoding)
    return _BytePairs(encoding, found.count, found.encode, found.decode)
