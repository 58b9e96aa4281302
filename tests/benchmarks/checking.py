"""How fast the default rules check a data set, beside the floor of reading it.

    python -m tests.benchmarks.checking [--rows 360645] [--folder FOLDER] [--file FILE] [--times 2] [--rules]

Prints, for each of the runs, wall and processor seconds and the peak memory above that of the imported library: the
floor (parse each row of JSON Lines, write it as JSON, in a plain loop), checking alone, reading and checking, and both
with five more rules, written by a user as plain functions. The data are those of `tests.benchmarks.reading`, or FILE.
With `--rules`, what each rule takes by itself; what several share, such as decoding, is listed apart.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.reading import make_files

PRELUDE = """
import resource, sys, time
def peak_mb():
    # not ru_maxrss: a child process begins with its parent's
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
class Clock:
    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()
    def told(self):
        return f"{time.perf_counter() - self.wall:5.2f} s ({time.process_time() - self.cpu:5.2f} s of processor)"
path, into = sys.argv[1:]
"""

FLOOR = f"""{PRELUDE}
import orjson
before = peak_mb()
clock = Clock()
with open(path, "rb") as file, open(into, "wb") as out:
    for line in file:
        out.write(orjson.dumps(orjson.loads(line)) + b"\\n")
print(f"{{clock.told()}}, {{peak_mb() - before:.0f}} MB")
"""

# What people forbid in their data: links, length, words, an ending, and an answer that is the question.
USER_RULES = """
from finetune_kit import CompletionExample, row_validator

@row_validator("no_links")
def no_links(example: CompletionExample) -> str | None:
    return "the completion holds a link" if "http://" in example.completion else None

@row_validator("not_too_long")
def not_too_long(example: CompletionExample) -> str | None:
    return "the completion is long" if len(example.completion) > 5000 else None

@row_validator("no_competitor")
def no_competitor(example: CompletionExample) -> str | None:
    return "the completion names a competitor" if "Initech" in example.completion else None

@row_validator("ends_well")
def ends_well(example: CompletionExample) -> str | None:
    return None if example.completion.endswith((".", "。", "!", "?")) else "the completion does not end as a sentence"

@row_validator("no_echo")
def no_echo(example: CompletionExample) -> str | None:
    return "the completion is the prompt" if example.completion == example.prompt else None

users = (no_links, not_too_long, no_competitor, ends_well, no_echo)
"""

OURS = f"""{PRELUDE}
{USER_RULES}
from finetune_kit import Dataset
from finetune_kit.validators import DEFAULT
before = peak_mb()
whole = Clock()
data = Dataset.from_file(path)
read = whole.told()
rules = (*DEFAULT, *users) if EXTRA else DEFAULT
clock = Clock()
report = data.validate(rules)
print(f"{{clock.told()}}; with reading {{whole.told()}}, {{peak_mb() - before:.0f}} MB; {{len(rules)}} rules")
"""

EACH_RULE = f"""{PRELUDE}
{USER_RULES}
from finetune_kit import Dataset
from finetune_kit.validators import DEFAULT
rows = Dataset.from_file(path).rows
spent = {{}}
def timed(name, call):
    began = time.process_time()
    found = call()
    spent[name] = spent.get(name, 0) + time.process_time() - began
    return found
rules = (*DEFAULT, *users)
checks = [(rule.code, rule.check if hasattr(rule, "check") else rule.start()) for rule in rules]
for batch in rows.batches():
    for shared in ("raw", "marks", "prompts", "completions", "examples"):
        timed(f"(batch.{{shared}})", lambda: getattr(batch, shared))
    for code, check in checks:
        timed(code, lambda: list(check(batch) if callable(check) else check.see(batch)))
for code, check in checks:
    if not callable(check):
        timed(code, lambda: list(check.finish()))
for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
    print(f"{{seconds:7.3f}} s  {{name}}")
print(f"{{sum(spent.values()):7.3f}} s  all, by processor")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=360_645)
    parser.add_argument("--folder", type=Path, help="where the files are made; a temporary folder by default")
    parser.add_argument("--file", type=Path, help="another file of JSON Lines instead")
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--rules", action="store_true", help="what each rule takes instead")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = options.file or make_files(folder, options.rows)["jsonl"]
        into = folder / "out.jsonl"
        if options.rules:
            print(_told_by(EACH_RULE, path, into))
            return
        print(f"{path.stat().st_size / 1e6:.0f} MB of JSON Lines")
        for _ in range(options.times):
            print(f"floor:                {_told_by(FLOOR, path, into)}", flush=True)
            for extra in (False, True):
                name = "and five of a user: " if extra else "checking, by default:"
                print(f"{name:21} {_told_by(f'EXTRA = {extra}{OURS}', path, into)}", flush=True)


def _told_by(program: str, path: Path, into: Path) -> str:
    command = [sys.executable, "-c", program, str(path), str(into)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"it failed:\n{done.stderr[-2000:]}")
    return done.stdout.rstrip()


if __name__ == "__main__":
    main()
