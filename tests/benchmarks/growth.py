"""Whether training costs the same a token, and no more memory, however many rows there are.

    python -m tests.benchmarks.growth [--rows 200 20000] [--tokens 4000000]

The worker's own way from a file to steps, tokenising apart, on the tiny random model of the tests: a small model shows
what the loop costs, which a large one would hide. Each size in a process of its own, over as many epochs as give about
so many tokens; the second run takes the tokens from the cache.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from tests.benchmarks.banking import messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 20_000])
    parser.add_argument("--tokens", type=int, default=4_000_000)
    parser.add_argument("--measure", nargs=2, help="internal: folder and number of rows")
    options = parser.parse_args()
    if options.measure:
        print(_measured(Path(options.measure[0]), int(options.measure[1]), options.tokens))
        return
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            for rows in options.rows:
                command = [sys.executable, "-m", "tests.benchmarks.growth", "--measure", folder, str(rows)]
                command += ["--tokens", str(options.tokens)]
                environment = {**os.environ, "OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
                print(done.stdout.strip() or done.stderr, flush=True)


def _measured(folder: Path, count: int, tokens: int) -> str:
    from finetune_kit.backends.local.home import Home
    from finetune_kit.backends.local.models import add_adapter
    from finetune_kit.backends.local.token_rows import token_rows
    from finetune_kit.backends.local.trainer import Settings, Trainer
    from tests.tiny import load_tiny, write_tiny_base
    from tests.watching import Nobody

    if not (folder / "base").is_dir():
        write_tiny_base(folder / "base")
    pairs = messages()
    path = folder / f"{count}.jsonl"
    with path.open("wb") as file:
        for number in range(count):
            text, label = pairs[number % len(pairs)]
            file.write(orjson.dumps({"prompt": f"{text} {number // len(pairs)} ->", "completion": f" {label}"}) + b"\n")
    loaded = load_tiny(folder / "base", folder / "home", packed=True)
    add_adapter(loaded, seed=0)
    start = time.perf_counter()
    rows = token_rows(Home(folder / "home"), path, loaded.encoder, what="file", heard=lambda _: None).weighted(0.01)
    tokenised = time.perf_counter() - start
    each = sum(len(rows[place].tokens) for place in range(200)) / 200
    trainer = Trainer(
        loaded=loaded,
        training=rows,
        validation=[],
        settings=Settings(
            n_epochs=max(1, round(tokens / each / count)), batch_size=16, learning_rate_multiplier=0.1, seed=0
        ),
        state_folder=folder,
    )
    start = time.perf_counter()
    trainer.run(Nobody())
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    return (
        f"{count:,} rows: tokens had in {tokenised:.2f} s, then {trainer.tokens / seconds:,.0f} tokens/s over "
        f"{trainer.tokens:,} tokens, peak {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
