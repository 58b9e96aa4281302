"""The key a host is asked with, and a fingerprint of it that can be shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import scrypt
from urllib.parse import unquote, urlsplit, urlunsplit

from finetune_kit._arguments import string
from finetune_kit._quoting import shown
from finetune_kit.errors import AuthenticationError, ParameterError
from finetune_kit.hosts import HostProfile

_SALT = b"finetune_kit account"
# Some host on a private network has a short key: one guess takes some milliseconds and 4 MB.
_COST = {"n": 1 << 12, "r": 8, "p": 1}


def key_for(profile: HostProfile, given: str | None) -> str:
    """`given`, else the first of the host's environment variables that is set; `AuthenticationError` without any."""
    where, key = "api_key=", None if given is None else string("api_key", given)
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


def checked_address(url: str) -> str:
    """`url`, if it can be one of an API; `ParameterError` that shows no secret of it."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # of brackets and ports
        parts, sound = urlsplit(""), False
    if not sound or not url.isprintable() or " " in url:
        told = shown(url.rpartition("@")[2].partition("?")[0])
        raise ParameterError(
            f"base_url={told} is no address: give one such as https://api.example.com/v1.", parameter="base_url"
        )
    if parts.query or parts.fragment:
        raise ParameterError(
            f"base_url={shown(shown_address(url))} with a query: give the address before the question mark; a version "
            "is passed as api_version=.",
            parameter="base_url",
        )
    return url


def login_in(url: str) -> str | None:
    """User and password of an address, with a colon between them; None without any."""
    parts = urlsplit(url)
    return None if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"


def without_login(url: str) -> str:
    """An address as it is, but for user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def shown_address(url: str) -> str:
    """An address without user, password, query and trailing slash."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def password_in(url: str) -> Sequence[str]:
    """What of an address must not be shown."""
    password = urlsplit(url).password
    return () if password is None else (password, unquote(password))
