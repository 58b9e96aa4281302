"""Reading and walking a file needs the same memory whatever its size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROW = "x" * 180
PROGRAM = """
import resource, sys
from finetune_kit.readers import read_csv, read_jsonl

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

read = read_csv if sys.argv[1].endswith("csv") else read_jsonl
read(sys.argv[1])  # the small file: everything is imported and warm
before = peak_mb()
rows = read(sys.argv[2]).rows
for walk in (rows, rows.take(range(0, len(rows), 2)), rows.content_lines(), rows.batches()):
    for _ in walk:
        pass
print(len(rows), peak_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is reported in other units elsewhere")
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_file_of_40_mb_needs_less_than_30_mb_more_than_a_small_one(tmp_path: Path, suffix: str) -> None:
    """16 MB of them are pages that a store keeps mapped at once, 3 MB the index."""
    small, large = tmp_path / f"small.{suffix}", tmp_path / f"large.{suffix}"
    for path, count in ((small, 10), (large, 200_000)):
        with path.open("w", encoding="utf-8") as file:
            if suffix == "csv":
                file.write("prompt,completion\n")
            for number in range(count):
                if suffix == "csv":
                    file.write(f"{number},{ROW}\n")
                else:
                    file.write(f'{{"prompt": "{number}", "completion": "{ROW}"}}\n')
    command = [sys.executable, "-c", PROGRAM, str(small), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows_read, grown_mb = done.stdout.split()
    assert int(rows_read) == 200_000
    assert float(grown_mb) < 30
