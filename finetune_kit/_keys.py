"""A hash of what each example asks, the same in every process: it tells repeats, leaks and units to be split apart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from itertools import compress

import orjson

from finetune_kit.records import CompletionExample, Example, JsonValue, Message, PreferenceExample

KEY_BYTES = 8
"""Two of a million different prompts share such a key once in forty million such sets."""

_INSTRUCTIONS = frozenset({"system", "developer"})
_NOTHING: Mapping[str, JsonValue] = {}
_ASCII_SPACE = b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
_LOWER = bytes(range(256)).lower()
_IDEOGRAPHIC_SPACE = "\u3000".encode()
_APART = "\0"

# Bytes of UTF-8 that never begin a character with letter case or, but for the ideographic space, white space: ASCII,
# the insides of characters, and what begins U+3000 to U+9FFF and most Hangul syllables.
_CASELESS = bytes(range(0xC0)) + b"\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xeb\xec\xed"
# What begins both: curly quotes and odd spaces, more Hangul, full-width forms, emoji; and where it is not harmless.
_CASED: tuple[tuple[bytes, Callable[[bytes], object]], ...] = (
    (b"\xe2", re.compile(rb"\xe2(?:[^\x80]|\x80[\x80-\x8a\xa8\xa9\xaf])").search),
    (b"\xea", re.compile(rb"\xea[\x80-\xaf]").search),
    (b"\xef", re.compile(rb"\xef(?:[^\xbc\xbd]|\xbc[\xa1-\xba])").search),
    (b"\xf0", re.compile(rb"\xf0[^\x9f]").search),
)
_MIXED_LEADS = b"".join(lead for lead, _ in _CASED)


def prompt_key(example: Example) -> bytes | None:
    """A hash of what the model is asked, blind to letter case and white space; None if nothing is asked.

    For a conversation that is every message but the last, for a preference its whole input.
    """
    if isinstance(example, CompletionExample):
        asked = folded(example.prompt)
    else:
        before = example.messages if isinstance(example, PreferenceExample) else example.messages[:-1]
        asked = b"" if all(message.role in _INSTRUCTIONS for message in before) else _turns(before)
    return key_of(asked) if asked else None


def key_of(text: bytes) -> bytes:
    """The key of a text as it is."""
    return blake2b(text, digest_size=KEY_BYTES).digest()


def keys_of(texts: Sequence[bytes]) -> list[bytes]:
    """The key of each text."""
    return [blake2b(text, digest_size=KEY_BYTES).digest() for text in texts]


def folded(text: str) -> bytes:
    """The text in lower case without white space."""
    if text.isascii():
        return text.casefold().encode().translate(None, _ASCII_SPACE)
    return "".join(text.casefold().split()).encode("utf-8", "surrogatepass")


def all_folded(texts: Sequence[str]) -> list[bytes]:
    """Each text `folded`, many of them in one go."""
    plain = list(map(str.isascii, texts))
    if all(plain):
        return _folded_together(texts, _fold_ascii)
    ascii_texts = iter(_folded_together(list(compress(texts, plain)), _fold_ascii))
    others = iter(_folded_together([text for text in texts if not text.isascii()], _fold_caseless))
    return [next(ascii_texts) if is_plain else next(others) for is_plain in plain]


def _folded_together(texts: Sequence[str], fold: Callable[[bytes], bytes | None]) -> list[bytes]:
    """Each text folded by one call of `fold` for all; one by one where that cannot tell them apart."""
    if not texts:
        return []
    try:
        whole = fold(_APART.join(texts).encode())
    except UnicodeEncodeError:  # half a surrogate pair
        whole = None
    parts = [] if whole is None else whole.split(_APART.encode())
    return parts if len(parts) == len(texts) else list(map(folded, texts))


def _fold_ascii(text: bytes) -> bytes:
    return text.translate(_LOWER, _ASCII_SPACE)


def _fold_caseless(text: bytes) -> bytes | None:
    """Text of scripts without letter case, and of ASCII, folded in UTF-8, many times as fast; None for other text."""
    rest = text.translate(None, _CASELESS)
    if rest.translate(None, _MIXED_LEADS) or any(lead in rest and found(text) for lead, found in _CASED):
        return None
    return text.translate(_LOWER, _ASCII_SPACE).replace(_IDEOGRAPHIC_SPACE, b"")


def asked_in_chats(conversations: Sequence[Sequence[Mapping[str, str]]]) -> list[bytes]:
    """What `prompt_key` hashes, for conversations of roles and texts and nothing else; empty if nothing is asked."""
    before = [turns[:-1] for turns in conversations]
    texts = iter(all_folded([turn["content"] for turns in before for turn in turns]))
    folded_turns = [[(turn["role"], next(texts).decode(), _NOTHING) for turn in turns] for turns in before]
    return [
        b"" if all(role in _INSTRUCTIONS for role, _, _ in turns) else orjson.dumps(turns) for turns in folded_turns
    ]


def _turns(messages: Sequence[Message]) -> bytes:
    turns = [(message.role, _folded_content(message), dict(message.more)) for message in messages]
    try:
        return orjson.dumps(turns, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # numbers beyond 64 bits
        return json.dumps(turns, sort_keys=True).encode()


def _folded_content(message: Message) -> object:
    content = message.content
    if isinstance(content, list) and not all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return content
    return None if content is None else folded(message.text).decode("utf-8", "surrogatepass")
