"""The API key that an old script assigns: whether it is one, or stands for one."""

from __future__ import annotations

import re
from pathlib import Path

from finetune_kit.legacy.error import AuthenticationError

_SHORTEST = 20  # characters; the keys of all hosts are longer
_FEWEST_SIGNS = 8
_WORDS = frozenset({"your", "key", "apikey", "here", "openai", "secret", "token", "insert", "replace", "example"})


def looks_real(key: str) -> bool:
    """Whether `key` may open something; "YOUR_API_KEY", "sk-..." and the like do not."""
    if len(key) < _SHORTEST or len(set(key)) < _FEWEST_SIGNS or not re.fullmatch(r"[\w.~+/=-]+", key, re.ASCII):
        return False
    return _WORDS.isdisjoint(re.split(r"[-_.]", key.lower())) and "..." not in key


def key_of(*given: object, path: object = None) -> str | None:
    """The first key that is given, else the one in the file at `path`; None where there is none."""
    for key in given:
        if isinstance(key, str) and key.strip():
            return key.strip()
        if key is not None and not isinstance(key, str):
            raise AuthenticationError(f"api_key is {type(key).__name__}, not text. Assign a string.")
    return Path(path).expanduser().read_text(encoding="utf-8").strip() or None if isinstance(path, str) else None
