"""The banking77 rows that the benchmarks share; real data that lies beside the project and is not part of it."""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

DATA = Path(__file__).parents[3] / "shared" / "data" / "01-support-en" / "banking77" / "train.csv"


def messages(path: Path = DATA) -> list[tuple[str, str]]:
    """All (message, intent) pairs in the order of the file."""
    if not path.is_file():
        sys.exit(f"banking77's train.csv is not at {path}; give its place with --data.")
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def few_intents(
    pairs: list[tuple[str, str]], *, intents: int, training: int, held_out: int, seed: int
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Messages of some intents drawn by `seed`: so many of each for training, and others that are held out."""
    chance = random.Random(seed)
    chosen = sorted(chance.sample(sorted({intent for _, intent in pairs}), intents))
    train: list[tuple[str, str]] = []
    rest: list[tuple[str, str]] = []
    for intent in chosen:
        own = sorted({message for message, label in pairs if label == intent})
        chance.shuffle(own)
        train += [(message, intent) for message in own[:training]]
        rest += [(message, intent) for message in own[training : training + held_out]]
    return train, rest
