"""The API key that an old script assigns: whether it is one, or stands for one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import cast

from finetune_kit._quoting import shown
from finetune_kit.legacy.error import AuthenticationError

_SHORTEST = 20  # characters; the keys of all hosts are longer
_FEWEST_SIGNS = 8
_WORDS = frozenset({"your", "key", "apikey", "here", "openai", "secret", "token", "insert", "replace", "example"})


def looks_real(key: str) -> bool:
    """Whether `key` may open something; "YOUR_API_KEY", "sk-..." and the like do not."""
    if len(key) < _SHORTEST or len(set(key)) < _FEWEST_SIGNS or not re.fullmatch(r"[\w.~+/=-]+", key, re.ASCII):
        return False
    return _WORDS.isdisjoint(re.split(r"[-_.]", key.lower())) and "..." not in key


def key_of(given: object, path: object, assigned: object) -> str | None:
    """The key that a call gives, else the one in the file at `path`, else the one that is assigned, as it was then."""
    return _text(given) or _in_file(path) or _text(assigned)


def _text(key: object) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str):
        raise AuthenticationError(f"api_key is {type(key).__name__}, not text. Assign a string.")
    return key.strip() or None


def _in_file(given: object) -> str | None:
    if not given:
        return None
    if not isinstance(given, str | os.PathLike):
        raise AuthenticationError(f"api_key_path is {type(given).__name__}, not a path. Assign a string.")
    path = Path(cast("str | os.PathLike[str]", given))
    told = f"api_key_path={shown(str(path))}"
    try:
        found = path.expanduser().read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise AuthenticationError(f"{told} cannot be read: {why}.") from error
    if not found or not found.isprintable() or " " in found:
        raise AuthenticationError(f"{told} holds no key: one line with nothing else is wanted.")
    return found
