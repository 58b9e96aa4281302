"""A hash of what each example asks, the same in every process: it tells repeats, leaks and units to be split apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b

import orjson

from finetune_kit.records import CompletionExample, Example, Message, PreferenceExample

KEY_BYTES = 8
"""Two of a million different prompts share such a key once in forty million such sets."""

_INSTRUCTIONS = frozenset({"system", "developer"})
_ASCII_SPACE = b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "


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
    """Each text `folded`."""
    return [
        text.casefold().encode().translate(None, _ASCII_SPACE) if text.isascii() else folded(text) for text in texts
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
