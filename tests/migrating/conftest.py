"""A home folder, and the time, as for archives."""

from __future__ import annotations

from tests.archiving.conftest import fast, home

__all__ = ["fast", "home"]
