"""How fast the engine trains, beside TRL's SFTTrainer on the same rows in the same run.

    python -m tests.benchmarks.training --home FOLDER [--peer-python PYTHON --peer-script peer_trl.py] [--busy]

Both: banking77 rows, batch 16, LoRA r=16 on all linear layers, learning rate 1e-3 held constant, loss on completions
only, one epoch with the first step counted. PYTHON is an environment with torch, transformers, peft, trl and datasets.
With `--busy`, ours runs again beside one process that keeps a core busy.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.banking import DATA, messages

BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="where the converted weights lie or are fetched to")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--peer-python")
    parser.add_argument("--peer-script", type=Path, default=DATA.parents[3] / "bench" / "peer_trl.py")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--ours", action="store_true", help="internal: measure in this process")
    options = parser.parse_args()
    if options.ours:
        print(_ours(options.home, options.data, options.rows))
        return
    ours = [sys.executable, "-m", "tests.benchmarks.training", "--ours", "--home", str(options.home)]
    ours += ["--data", str(options.data), "--rows", str(options.rows)]
    _run("finetune_kit", ours)
    if options.peer_python:
        base = options.home / "bases" / "smollm2-135m"
        peer = [
            options.peer_python,
            str(options.peer_script),
            str(base),
            str(options.data),
            "--rows",
            str(options.rows),
        ]
        for variant in ("default", "bf16"):
            _run(f"TRL {variant}", [*peer, "--variant", variant])
    _run("finetune_kit", ours)
    if options.busy:
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as hog:
            try:
                _run("finetune_kit beside a busy process", ours)
            finally:
                hog.kill()


def _run(name: str, command: list[str]) -> None:
    from finetune_kit.backends.local.device import quiet_threads

    # As the engine starts its workers; the peer runs as it comes.
    environment = dict(os.environ)
    if "--ours" in command:
        quiet_threads(environment)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    print(f"{name}: {done.stdout.strip().splitlines()[-1]}", flush=True)


def _ours(home: Path, data: Path, count: int) -> str:
    from finetune_kit.backends.local.home import Home
    from finetune_kit.backends.local.models import add_adapter, load_base
    from finetune_kit.backends.local.trainer import Measurement, Settings, Step, Trainer

    class Constant(Trainer):
        """With the peer's schedule."""

        def _learning_rate(self, step: int) -> float:
            return 1e-3

    class Losses(list[float]):
        """Collects the loss of every step."""

        def stepped(self, step: Step, validation: Measurement | None) -> str:
            self.append(step.loss)
            return ""

        def epoch_ended(self, step: Step, validation: Measurement | None) -> None: ...

        def should_save(self, seconds: float) -> bool:
            return False

    rows = messages(data)
    random.seed(0)
    random.shuffle(rows)
    loaded = load_base(Home(home), "smollm2-135m", device="cpu", packed=True, progress=lambda what, share: None)
    add_adapter(loaded, seed=0)
    encode = loaded.encoder.row
    trainer = Constant(
        loaded=loaded,
        training=[encode({"prompt": f"{text}\n\n###\n\n", "completion": f" {label}"}) for text, label in rows[:count]],
        validation=[],
        settings=Settings(n_epochs=1, batch_size=BATCH, learning_rate_multiplier=0.1, seed=0),
        state_folder=home,
    )
    losses = Losses()
    start = time.perf_counter()
    trainer.run(losses)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return (
        f"{count / seconds:.2f} examples/s, {trainer.tokens / seconds:.0f} tokens/s, "
        f"loss {sum(losses) / len(losses):.3f}, peak RSS {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
