"""Whose files and jobs something is about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """An account on a host, without a secret in it."""

    host: str
    """The profile's name."""
    account: str
    """The backend's word for whose key it is: an id is of no use under another one."""
    address: str = ""
    """Where the host answers; empty where there is no such address."""
