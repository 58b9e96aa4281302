"""Text that grows token by token: never half a character, never a part of a stop sequence."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_REPLACEMENT = "\ufffd"
_WINDOW = 6
"""Tokens that are read again with each new one, where a tokenizer's tokens are not plainly bytes."""


@dataclass(frozen=True, slots=True)
class Alphabet:
    """What each token of a tokenizer writes."""

    tokenizer: Any
    written: Sequence[bytes] | None
    """The bytes of each token; None where that is not how this tokenizer reads."""

    @classmethod
    def of(cls, tokenizer: Any) -> Alphabet:
        """Of a transformers tokenizer; special tokens write nothing."""
        from tokenizers.decoders import ByteLevel

        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(getattr(backend, "decoder", None), ByteLevel) or tokenizer.clean_up_tokenization_spaces:
            return cls(tokenizer, None)
        letters = {letter: byte for byte, letter in _byte_letters().items()}
        added: dict[int, Any] = tokenizer.added_tokens_decoder
        special = set(tokenizer.all_special_ids)
        table: list[bytes] = []
        for number, token in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
            if number in special or token is None:
                table.append(b"")
            elif number in added or not all(letter in letters for letter in token):
                table.append(str(token).encode())
            else:
                table.append(bytes(letters[letter] for letter in token))
        return cls(tokenizer, table)

    def text(self, token: int) -> str:
        """One token alone, special tokens too, for people to read."""
        text: str = self.tokenizer.decode([token])
        return text

    def as_bytes(self, token: int) -> bytes:
        """One token's bytes, of which several tokens may make one character."""
        if self.written is not None and token < len(self.written) and self.written[token]:
            return self.written[token]
        return self.text(token).encode()


@dataclass(slots=True)
class Writing:
    """One answer as it is written."""

    alphabet: Alphabet
    stops: tuple[str, ...] = ()
    stopped: bool = False
    _ready: list[str] = field(default_factory=list[str])
    _told: int = 0
    _held: str = ""
    """What may be the beginning of a stop sequence."""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )
    _recent: list[int] = field(default_factory=list[int])
    _read: int = 0
    """How many of the recent tokens have been written out."""

    @property
    def text(self) -> str:
        """All that is ready, up to the stop sequence."""
        return "".join(self._ready)

    def news(self) -> str:
        """What has become ready since this was asked the last time."""
        fresh = "".join(self._ready[self._told :])
        self._told = len(self._ready)
        return fresh

    def push(self, token: int) -> bool:
        """Write one token; whether a stop sequence is complete now."""
        table = self.alphabet.written
        if table is None:
            self._add(self._reread(token))
        elif token < len(table):
            self._add(self._decoder.decode(table[token]))
        return self.stopped

    def end(self) -> None:
        """No token comes any more: half a character becomes the replacement character, what was held back is ready."""
        if not self.stopped:
            rest = self._decoder.decode(b"", final=True) if self.alphabet.written is not None else self._rest()
            self._add(rest)
        if not self.stopped and self._held:
            self._ready.append(self._held)
            self._held = ""

    def _add(self, fresh: str) -> None:
        if not fresh or self.stopped:
            return
        if not self.stops:
            self._ready.append(fresh)
            return
        held = self._held + fresh
        found = [place for place in map(held.find, self.stops) if place >= 0]
        if found:
            self.stopped, keep = True, len(held) - min(found)
        else:
            keep = max(_begun(held, stop) for stop in self.stops)
        ready, self._held = held[: len(held) - keep], held[len(held) - keep :]
        if ready:
            self._ready.append(ready)

    def _reread(self, token: int) -> str:
        """What a token adds to the few before it, as the tokenizer decodes them together."""
        before = self._decoded(self._recent[: self._read])
        self._recent.append(token)
        now = self._decoded(self._recent)
        if now.endswith(_REPLACEMENT) or len(now) <= len(before):
            return ""
        self._read = len(self._recent)
        if self._read > 2 * _WINDOW:
            self._recent = self._recent[-_WINDOW:]
            self._read = len(self._recent)
        return now[len(before) :]

    def _rest(self) -> str:
        return self._decoded(self._recent)[len(self._decoded(self._recent[: self._read])) :]

    def _decoded(self, tokens: Sequence[int]) -> str:
        text: str = self.alphabet.tokenizer.decode(tokens, skip_special_tokens=True)
        return text


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of `text` may be the beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-length:]):
            return length
    return 0


def _byte_letters() -> dict[int, str]:
    """The letter that byte-level tokenizers write for each byte: itself where it can be seen, else one from 256 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {byte: chr(byte) for byte in seen}
    hidden = (byte for byte in range(256) if byte not in letters)
    return letters | {byte: chr(256 + place) for place, byte in enumerate(hidden)}
