"""Whole texts that stay as they are until somebody means to change them."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"
COMMAND = "UPDATE_GOLDEN=1 python -m pytest tests/validators/test_page.py"


def assert_golden(name: str, text: str) -> None:
    """The text equals the file; with `UPDATE_GOLDEN` set, it is written there instead."""
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    known = path.read_bytes().decode()
    assert text == known, f"{name} has changed. If that is meant, look at it and run {COMMAND}"
