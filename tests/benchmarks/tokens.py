"""How fast tokens are counted, beside tiktoken, with equal totals.

    python -m tests.benchmarks.tokens [--megabytes 8] [--data ../shared/data]

Needs tiktoken, and bpe-openai, whose wheel holds the vocabularies that tiktoken would otherwise download: from them a
`tiktoken.Encoding` is built. English, Chinese and emoji texts, real ones where DATA is there; the best of three runs,
in turns. Then a whole data set: reading excluded, in full and by a sample.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from finetune_kit import Dataset
from finetune_kit._extras import require
from finetune_kit.tokens import EXACT, tokenizer
from tests.benchmarks.reading import made

RUNS = 3
TARGET = 1.5
EMOJI = "😀 so happy 🎉🎊 {} 👩‍👩‍👧 family 🇨🇳 flag, ✨très bien✨ 🚀"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2].parent / "shared" / "data")
    options = parser.parse_args()
    slowest = min(
        _compare(encoding, name, texts)
        for encoding in sorted(EXACT)
        for name, texts in _texts(options.data, options.megabytes * 1e6)
    )
    print(f"slowest: {slowest:.2f} times tiktoken's speed; the target is {TARGET}")
    _count_a_set()
    if slowest < TARGET:
        sys.exit(1)


def _compare(encoding: str, name: str, texts: list[str]) -> float:
    theirs, ours = _tiktoken(encoding), tokenizer(encoding, estimate=False)
    times: dict[str, float] = {}
    totals: set[int] = set()
    for _ in range(RUNS):
        for who, count in (("tiktoken", lambda text: len(theirs.encode_ordinary(text))), ("finetune_kit", ours.count)):
            seconds, total = _timed(count, texts)
            times[who] = min(seconds, times.get(who, seconds))
            totals.add(total)
    if len(totals) != 1:
        sys.exit(f"{encoding}, {name}: totals differ, {totals}")
    speed = times["tiktoken"] / times["finetune_kit"]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    told = ", ".join(f"{who} {seconds:.3f} s" for who, seconds in times.items())
    print(f"{encoding}, {name}, {megabytes:.1f} MB, {totals.pop():,} tokens: {told}, {speed:.2f} times", flush=True)
    return speed


def _timed(count: Callable[[str], int], texts: list[str]) -> tuple[float, int]:
    start = time.perf_counter()
    total = sum(map(count, texts))
    return time.perf_counter() - start, total


def _tiktoken(encoding: str) -> Any:
    tiktoken: Any = require("tiktoken", extra="dev", purpose="the comparison")
    registry: Any = require("bpe_openai.registry", extra="dev", purpose="tiktoken's vocabulary")
    settings = dict(getattr(registry, encoding)())
    return tiktoken.Encoding(settings.pop("name"), **settings)


def _texts(data: Path, size: float) -> Iterator[tuple[str, list[str]]]:
    english = [text for pair in made(2_000) for text in pair if text.isascii()]
    chinese = [text for pair in made(2_000) for text in pair if not text.isascii()]
    if data.is_dir():
        with (data / "01-support-en" / "bank-faqs" / "BankFAQs.csv").open(encoding="utf-8", newline="") as file:
            english = [cell for row in csv.reader(file) for cell in row[:2]]
        chinese = (data / "02-chinese" / "egret-wenda" / "egret_wenda_lines.txt").read_text("utf-8").splitlines()
    yield "English", _as_many(english, size)
    yield "Chinese", _as_many(chinese, size)
    yield "emoji", _as_many([EMOJI.format(number) for number in range(1_000)], size / 4)


def _as_many(texts: list[str], size: float) -> list[str]:
    many: list[str] = []
    for text in cycle(texts):
        if size <= 0:
            return many
        many.append(text)
        size -= len(text.encode())
    return many


def _count_a_set() -> None:
    data = Dataset.from_records(made(60_000))
    for how in ("exact", "auto"):
        start = time.perf_counter()
        counted = data.token_counts("gpt-4.1-mini", how=how)
        seconds = time.perf_counter() - start
        print(f"{len(data):,} rows, how={how!r}: {seconds:.2f} s, total {counted.total}, trained {counted.trained}")


if __name__ == "__main__":
    main()
