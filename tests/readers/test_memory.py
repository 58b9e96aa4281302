"""Reading and walking a file needs the same memory whatever its size."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.readers.workbooks import write_workbook

ROW = "x" * 180
PROGRAM = """
import resource, sys
from finetune_kit.readers import read_file

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

read_file(sys.argv[1])  # the small file: everything is imported and warm
before = peak_mb()
rows = read_file(sys.argv[2]).rows
for walk in (rows, rows.take(range(0, len(rows), 2)), rows.content_lines(), rows.batches()):
    for _ in walk:
        pass
print(len(rows), peak_mb() - before)
"""


def write_rows(path: Path, suffix: str, rows: Iterator[dict[str, str]]) -> None:
    if suffix == "xlsx":
        write_workbook(path, {"Data": [["prompt", "completion"], *(list(row.values()) for row in rows)]})
        return
    with gzip.open(path, "wt", 1) if suffix.endswith("gz") else path.open("w", encoding="utf-8") as file:
        if suffix.startswith("csv"):
            file.write("prompt,completion\n")
            file.writelines(f"{row['prompt']},{row['completion']}\n" for row in rows)
        elif suffix == "json":
            file.write("[")
            file.writelines(f"{',' if row['prompt'] != '0' else ''}\n  {json.dumps(row)}" for row in rows)
            file.write("\n]")
        else:
            file.writelines(f"{json.dumps(row)}\n" for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is reported in other units elsewhere")
@pytest.mark.parametrize(
    ("suffix", "count"),
    [("csv", 200_000), ("jsonl", 200_000), ("json", 100_000), ("csv.gz", 100_000), ("xlsx", 50_000)],
)
def test_large_file_needs_less_than_30_mb_more_than_a_small_one(tmp_path: Path, suffix: str, count: int) -> None:
    """200,000 rows are 40 MB. 16 MB of the 30 are pages that a store keeps mapped at once, 3 MB the index."""
    small, large = tmp_path / f"small.{suffix}", tmp_path / f"large.{suffix}"
    for path, length in ((small, 10), (large, count)):
        write_rows(path, suffix, ({"prompt": str(number), "completion": ROW} for number in range(length)))
    command = [sys.executable, "-c", PROGRAM, str(small), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows_read, grown_mb = done.stdout.split()
    assert int(rows_read) == count
    assert float(grown_mb) < 30


CHECK = """
import resource, sys
from finetune_kit import Dataset

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

Dataset.from_jsonl(sys.argv[1]).validate()
before = peak_mb()
data = Dataset.from_jsonl(sys.argv[2])
data.validate()
print(len(data), peak_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is reported in other units elsewhere")
def test_checking_rows_of_megabytes_does_not_need_the_memory_of_a_batch_of_them(tmp_path: Path) -> None:
    """80 rows of 2 MB are one batch by their number, and ten by their size."""
    image = "data:image/png;base64," + "iVBORw0KGgo" + "A" * ((2 << 20) - 11)
    for name, count in (("small", 1), ("large", 80)):
        with (tmp_path / name).open("w", encoding="utf-8") as file:
            for number in range(count):
                part = {"type": "image_url", "image_url": {"url": image}}
                asked = {"role": "user", "content": [part, {"type": "text", "text": f"Parcel {number}?"}]}
                file.write(json.dumps({"messages": [asked, {"role": "assistant", "content": "Here"}]}) + "\n")
    command = [sys.executable, "-c", CHECK, str(tmp_path / "small"), str(tmp_path / "large")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows_read, grown_mb = done.stdout.split()
    assert int(rows_read) == 80
    assert float(grown_mb) < 100
