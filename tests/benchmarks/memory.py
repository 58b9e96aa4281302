"""How near the estimate of a training's memory is to what it takes: python -m tests.benchmarks.memory --home FOLDER.

The embedded model, trained for three steps in a process of its own for each setting; what is measured is the peak of
the resident set less what was resident when the weights had been loaded. Linux and macOS.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SETTINGS = (
    ("lora", 64, "bfloat16"),
    ("lora", 512, "bfloat16"),
    ("lora", 1024, "bfloat16"),
    ("lora", 2048, "bfloat16"),
    ("lora", 1024, "float32"),
    ("full", 256, "bfloat16"),
)
EXAMPLE_TOKENS = 64
PEAK_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="home folder, which keeps the converted model")
    parser.add_argument("--setting", nargs=3, help="internal: method, tokens and type of one measurement")
    options = parser.parse_args()
    if options.setting:
        method, tokens, dtype = options.setting
        print(measured(options.home, method, int(tokens), dtype))
        return
    for method, tokens, dtype in SETTINGS:
        command = [sys.executable, "-m", "tests.benchmarks.memory", "--home", str(options.home)]
        command += ["--setting", method, str(tokens), dtype]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(done.stdout.strip() or done.stderr, flush=True)


def measured(home: Path, method: str, tokens: int, dtype: str) -> str:
    from finetune_kit.backends.local.device import Numbers
    from finetune_kit.backends.local.home import Home
    from finetune_kit.backends.local.memory import TrainingMemory
    from finetune_kit.backends.local.models import add_adapter, load_base
    from finetune_kit.backends.local.packing import ROW_TOKENS, Encoded
    from finetune_kit.backends.local.trainer import Settings, Trainer
    from tests.watching import Nobody

    class Saves(Nobody):
        """Lets it run, and has the state saved after each step."""

        def should_save(self, seconds: float) -> bool:
            return True

    numbers = Numbers(dtype=dtype, threads=2)
    loaded = load_base(Home(home), "smollm2-135m", device="cpu", packed=True, progress=lambda *_: None, numbers=numbers)
    resident = _peak_bytes()
    if method == "lora":
        add_adapter(loaded, seed=0)
    else:
        loaded.model.requires_grad_(requires_grad=True)
    each = EXAMPLE_TOKENS if tokens <= ROW_TOKENS else tokens
    examples = [
        Encoded(tuple((37 * number + 11 * place) % 40_000 for place in range(each)), (0.0,) + (1.0,) * (each - 1))
        for number in range(max(1, tokens // each))
    ]
    estimate = TrainingMemory.of(loaded, longest_tokens=each, batch_tokens=tokens, pairs=False)
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            loaded=loaded,
            training=examples,
            validation=(),
            settings=Settings(n_epochs=3, batch_size=len(examples), learning_rate_multiplier=0.1, seed=0),
            state_folder=Path(folder),
        ).run(Saves())
    taken = _peak_bytes() - resident
    share = estimate.total_bytes / taken
    return (
        f"{method:4} {tokens:5,} tokens {dtype:8}: {taken / 1e6:6,.0f} MB taken, {estimate.total_bytes / 1e6:6,.0f} "
        f"estimated: {share:.2f}"
    )


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT_BYTES


if __name__ == "__main__":
    main()
