"""How fast near-duplicates are found, beside rensa's MinHash, and how many of those that there are.

    python -m tests.benchmarks.near [--rows 360645] [--folder FOLDER]

Prints seconds and peak memory of two runs each over the same JSON Lines, about 550 bytes a row, a third Chinese:
the search itself, on rows that were read before, and rensa (`pip install rensa`), 64 permutations with its index, fed
with the same pairs of words, and fed with what stands between spaces, which is the whole of a Chinese text. Then, for
some thousand texts with planted near-duplicates of all degrees, which share of the pairs that comparing each with each
finds is found, by threshold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from random import Random

from finetune_kit.near import near_groups
from tests.benchmarks.reading import PRELUDE, TELL, make_files
from tests.test_near import likeness, planted, prompts, word_pairs

OURS = f"""{PRELUDE}
from finetune_kit import Dataset
from finetune_kit.near import near_pairs
before = peak_mb()
data = Dataset.from_jsonl(path)
start = time.perf_counter()
found = len(near_pairs(data.rows))
{TELL}
"""
PEER = f"""{PRELUDE}
import re, orjson
from itertools import pairwise
from rensa import RMinHash, RMinHashLSH
WORDS = re.compile("[\\u3400-\\u9fff]|[^\\\\W_\\u3400-\\u9fff]+")
before = peak_mb()
start = time.perf_counter()
index = RMinHashLSH(threshold=0.7, num_perm=64, num_bands=16)
kept = []
with open(path, "rb") as file:
    for number, line in enumerate(file):
        row = orjson.loads(line)
        text = (row["prompt"] + "\\n" + row["completion"]).lower()
        sketch = RMinHash(num_perm=64, seed=42)
        sketch.update(SHINGLES)
        index.insert(number, sketch)
        kept.append(sketch)
for sketch in kept:
    index.query(sketch)
{TELL}
"""
SAME = PEER.replace("SHINGLES", '[f"{one} {two}" for one, two in pairwise(WORDS.findall(text))]')
SPACES = PEER.replace("SHINGLES", "text.split()")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=360_645)
    parser.add_argument("--folder", type=Path, help="where the files are made; a temporary folder by default")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = make_files(folder, options.rows)["jsonl"]
        for _ in range(2):
            _tell("rensa, pairs of words", SAME, path)
            _tell("rensa, what stands between spaces", SPACES, path)
            _tell("finetune_kit", OURS, path)
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.9):
        found, there = _recall(threshold)
        print(f"threshold {threshold}: {found:,} of {there:,} pairs found, {found / there:.2%}", flush=True)


def _tell(name: str, program: str, path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", program, str(path), ""], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    print(f"{name}: {done.stdout.strip()}", flush=True)


def _recall(threshold: float) -> tuple[int, int]:
    found = there = 0
    for seed in range(3):
        texts = planted(Random(seed), 1_000)
        expected = [pair for pair in _sharing(texts) if likeness(*(texts[row] for row in pair)) >= threshold]
        groups = near_groups(prompts(*texts), threshold=threshold)
        group_of = {row: number for number, group in enumerate(groups) for row in group}
        there += len(expected)
        found += sum(one in group_of and group_of[one] == group_of.get(other) for one, other in expected)
    return found, there


def _sharing(texts: Iterable[str]) -> set[tuple[int, int]]:
    by_pair: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        for pair in word_pairs(text):
            by_pair[pair].append(row)
    return {(one, other) for rows in by_pair.values() for one in rows for other in rows if one < other}


if __name__ == "__main__":
    main()
