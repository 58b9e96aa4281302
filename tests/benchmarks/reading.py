"""How fast data are read, checked, freed of repeats, split and written, beside the floor and the old tool.

    python -m tests.benchmarks.reading [--rows 360645] [--workbook-rows 40000] [--folder FOLDER] [--peer PEER]
    python -m tests.benchmarks.reading --times 10 [--rows 360645] [--folder FOLDER]

Prints, for each kind of file, the seconds and the peak memory of two runs. The floor is what nobody can do without:
parse each row, write it as JSON, in a plain loop; for a workbook, python-calamine alone. The data are made up, English
and Chinese mixed, about 550 bytes a row. PEER is a script that runs `openai tools fine_tunes.prepare_data -q` of openai
0.28.1 on a file and prints its seconds and peak memory last. With `--times`, how seconds and memory grow with the rows
of JSON Lines and of a JSON array instead; all rows differ.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson

from tests.readers.workbooks import write_workbook

WORKBOOK_ROWS = 40_000

PRELUDE = """
import resource, sys, time
def peak_mb():
    # not ru_maxrss: a child process begins with its parent's
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
path, into = sys.argv[1:]
"""
TELL = 'print(f"{time.perf_counter() - start:.2f} s, {peak_mb() - before:.0f} MB")'

OURS = f"""{PRELUDE}
from finetune_kit import Dataset
from finetune_kit.validators import ESSENTIAL, Duplicates
before = peak_mb()
start = time.perf_counter()
data = Dataset.from_file(path)
report = data.validate((*ESSENTIAL, Duplicates()))
assert report.ok, report.summary()
split = data.without_duplicates().split(0.8)
parts = [(into, split.training), (into + ".validation", split.validation)]
written = sum(part.write(name, host="local").rows for name, part in parts)
assert written == len(data)
{TELL}
"""
JSONL_FLOOR = f"""{PRELUDE}
import orjson
before = peak_mb()
start = time.perf_counter()
with open(path, "rb") as file, open(into, "wb") as out:
    for line in file:
        out.write(orjson.dumps(orjson.loads(line)) + b"\\n")
{TELL}
"""
CSV_FLOOR = f"""{PRELUDE}
import csv, orjson
before = peak_mb()
start = time.perf_counter()
with open(path, encoding="utf-8", newline="") as file, open(into, "wb") as out:
    rows = csv.reader(file)
    next(rows)
    for prompt, completion in rows:
        out.write(orjson.dumps({{"prompt": prompt, "completion": completion}}) + b"\\n")
{TELL}
"""
WORKBOOK_FLOOR = f"""{PRELUDE}
import python_calamine
before = peak_mb()
start = time.perf_counter()
for row in python_calamine.CalamineWorkbook.from_path(path).get_sheet_by_index(0).iter_rows():
    pass
{TELL}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=360_645)
    parser.add_argument("--folder", type=Path, help="where the files are made; a temporary folder by default")
    parser.add_argument("--workbook-rows", type=int, default=WORKBOOK_ROWS, help="so many of the rows in the workbook")
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--times", type=int, help="measure how time and memory grow with so many times the rows")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = make_files(folder, options.rows, workbook_rows=options.workbook_rows)
        into = folder / "out.jsonl"
        if options.times:
            _tell_growth(files, options.times, into)
            return
        floors = {"jsonl": JSONL_FLOOR, "csv": CSV_FLOOR, "xlsx": WORKBOOK_FLOOR}
        for _ in range(2):
            for kind, path in files.items():
                megabytes = path.stat().st_size / 1e6
                if kind in floors:
                    _tell(f"floor, {kind}, {megabytes:.0f} MB", floors[kind], path, into)
                _tell(f"finetune_kit, {kind}, {megabytes:.0f} MB", OURS, path, into)
        if options.peer:
            for kind in ("jsonl", "csv"):
                copy = shutil.copy(files[kind], folder / f"peer.{kind}")
                command = ["bash", str(options.peer), str(copy)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                print(f"prepare_data, {kind}: {(done.stdout + done.stderr).strip().splitlines()[-1]}", flush=True)


def _tell_growth(files: dict[str, Path], times: int, into: Path) -> None:
    for kind in ("jsonl", "json"):
        many = into.with_name(f"many.{kind}")
        with files["jsonl"].open("rb") as rows, many.open("wb") as out:
            before = b"[" if kind == "json" else b""
            for time in range(times):
                rows.seek(0)
                for row in rows:
                    out.write(before + b'{"prompt":"%d ' % time + row.rstrip().removeprefix(b'{"prompt":"'))
                    before = b",\n" if kind == "json" else b"\n"
            out.write(b"]" if kind == "json" else b"\n")
        for path in (files[kind], many):
            _tell(f"finetune_kit, {kind}, {path.stat().st_size / 1e6:.0f} MB", OURS, path, into)
        many.unlink()


def _tell(name: str, program: str, path: Path, into: Path) -> None:
    command = [sys.executable, "-c", program, str(path), str(into)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    print(f"{name}: {done.stdout.strip()}", flush=True)


def make_files(folder: Path, count: int, *, workbook_rows: int = WORKBOOK_ROWS) -> dict[str, Path]:
    """The same rows as JSON Lines, CSV in UTF-8 and GB18030, a JSON array, and some of them as a workbook."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"jsonl": "rows.jsonl", "csv": "rows.csv", "gb18030": "gb.csv", "json": "rows.json"}
    names |= {"ascii": "ascii.csv", "late": "late.csv"}  # the same but for GBK in the last thousandths
    files = {kind: folder / name for kind, name in names.items()} | {"xlsx": folder / f"rows-{workbook_rows}.xlsx"}
    if all(path.exists() for path in files.values()):
        return files
    head: list[list[str]] = [["prompt", "completion"]]
    with ExitStack() as stack:
        out = {kind: stack.enter_context(files[kind].open("wb")) for kind in names}
        out["json"].write(b"[")
        for kind in ("csv", "gb18030", "ascii", "late"):
            out[kind].write(b"prompt,completion\r\n")
        for number, (prompt, completion) in enumerate(made(count)):
            line = orjson.dumps({"prompt": prompt, "completion": completion})
            out["jsonl"].write(line + b"\n")
            out["json"].write((b",\n" if number else b"") + line)
            row = _csv_row(prompt, completion)
            out["csv"].write(row.encode())
            out["gb18030"].write(row.encode("gb18030"))
            plain = f"question {number},answer {number} {'x' * 490}\r\n".encode()
            out["ascii"].write(plain)
            out["late"].write(row.encode("gb18030") if number > count * 0.998 else plain)
            if number < workbook_rows:
                head.append([prompt, completion])
        out["json"].write(b"]")
    write_workbook(files["xlsx"], {"Data": head})
    return files


def _csv_row(*cells: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue()


def made(count: int) -> Iterator[tuple[str, str]]:
    """Rows of made-up words, a third of them Chinese, some with quotes and line breaks; the same in every run."""
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlucmfwypvbgk", k=chance.randint(2, 9))) for _ in range(4000)]
    signs = [chr(chance.randint(0x4E00, 0x8FFF)) for _ in range(3000)]

    def english(least: int, most: int) -> str:
        return " ".join(chance.choices(words, k=chance.randint(least, most))).capitalize() + "."

    def chinese(least: int, most: int) -> str:
        return "".join(chance.choices(signs, k=chance.randint(least, most))) + "。"

    for number in range(count):
        if number % 3 == 0:
            yield f"{chinese(20, 90)} #{number}", chinese(40, 150)
        elif number % 5 == 0:
            yield f"{english(15, 50)} #{number}", f'"{english(20, 60)}"\n{english(5, 5)}'
        else:
            yield f"{english(15, 50)} #{number}", english(25, 70)


if __name__ == "__main__":
    main()
