"""The key a host is asked with, and a fingerprint of it that can be shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import scrypt
from urllib.parse import urlsplit, urlunsplit

from finetune_kit.errors import AuthenticationError
from finetune_kit.hosts import HostProfile

_SALT = b"finetune_kit account"
# Some host on a private network has a short key: one guess takes some milliseconds and 4 MB.
_COST = {"n": 1 << 12, "r": 8, "p": 1}


def key_for(profile: HostProfile, given: str | None) -> str:
    """`given`, else the first of the host's environment variables that is set; `AuthenticationError` without any."""
    where, key = "api_key=", given
    if key is None:
        where, key = next(((name, os.environ[name]) for name in profile.keys if os.environ.get(name)), ("", None))
    if key is None or not key.strip():
        names = " or ".join(profile.keys)
        how = f"Set the environment variable {names}, or pass api_key=." if names else "Pass api_key=."
        raise AuthenticationError(f"there is no API key for {profile.name!r}. {how}")
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise AuthenticationError(
            f"the API key for {profile.name!r} from {where} holds a space or a character that no key has. "
            "Copy it again."
        )
    return key


def fingerprint(*secrets: str) -> str:
    """Twelve hexadecimal digits that tell accounts apart; the key cannot be found from them."""
    joined = "\0".join(secrets).encode("utf-8", "surrogatepass")
    return scrypt(joined, salt=_SALT, dklen=6, **_COST).hex()


def shown_address(url: str) -> str:
    """An address without user, password, query and trailing slash."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def password_in(url: str) -> Sequence[str]:
    """What of an address must not be shown."""
    password = urlsplit(url).password
    return () if password is None else (password,)
