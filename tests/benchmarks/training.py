"""How fast the engine trains, beside TRL's SFTTrainer on the same rows in the same run.

    python -m tests.benchmarks.training --home FOLDER [--peer-python PYTHON --peer-script peer_trl.py] [--busy]
    python -m tests.benchmarks.training --home FOLDER --prompt-tokens 300 --rows 32 [--peer-python PYTHON]

Both: banking77 rows, batch 16, LoRA r=16 on all linear layers, learning rate 1e-3 held constant, loss on completions
only, one epoch with the first step counted. PYTHON is an environment with torch, transformers, peft, trl and datasets.
With `--prompt-tokens`, all rows stand behind the same system prompt of about so many tokens; the peer is TRL's best
setting then, and lays it down in every row. With `--busy`, ours runs again beside one process that keeps a core busy.
With `--gemm gemm_peak.py`, the share of this machine's own bfloat16 matrix-product rate that ours reaches, counting
useful tokens alone: no padding, a shared prompt once, logits where they are trained.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune_kit.backends.local.packing import PackedRow
from tests.benchmarks.banking import DATA, messages

BATCH = 16
RULE = "Answer with the intent of the customer's message, and with nothing else. "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="where the converted weights lie or are fetched to")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--prompt-tokens", type=int, default=0)
    parser.add_argument("--peer-python")
    parser.add_argument("--peer-script", type=Path, default=DATA.parents[3] / "bench" / "peer_trl.py")
    parser.add_argument("--gemm", type=Path)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--ours", action="store_true", help="internal: measure in this process")
    options = parser.parse_args()
    if options.ours:
        print(_ours(options.home, options.data, options.rows, system_prompt(options.prompt_tokens)))
        return
    ours = [sys.executable, "-m", "tests.benchmarks.training", "--ours", "--home", str(options.home)]
    ours += ["--data", str(options.data), "--rows", str(options.rows), "--prompt-tokens", str(options.prompt_tokens)]
    found = [_run("finetune_kit", ours)]
    if options.peer_python:
        peer = [str(options.home / "bases" / "smollm2-135m"), str(options.data), "--rows", str(options.rows)]
        if options.prompt_tokens:
            script = str(Path(__file__).with_name("peer_prompt.py"))
            _run("TRL bf16", [options.peer_python, script, *peer, "--prompt", system_prompt(options.prompt_tokens)])
        else:
            for variant in ("default", "bf16"):
                _run(f"TRL {variant}", [options.peer_python, str(options.peer_script), *peer, "--variant", variant])
    found.append(_run("finetune_kit", ours))
    if options.gemm:
        rate = _gemm(options.gemm)
        shares = [float(reached) / rate for line in found for reached in re.findall(r"([0-9]+) GFLOP/s", line)]
        told = ", ".join(f"{share:.0%}" for share in shares)
        print(f"this machine's bfloat16 matrix products: {rate:.0f} GFLOP/s; reached: {told}")
    if options.busy:
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as hog:
            try:
                _run("finetune_kit beside a busy process", ours)
            finally:
                hog.kill()


def system_prompt(tokens: int) -> str:
    """A text of about so many tokens."""
    return RULE * round(tokens / 15)


def tokens_in(row: PackedRow) -> int:
    """Without the filler."""
    return row.prefix + sum(row.lengths)


def useful_flops(model: Any, rows: Sequence[PackedRow]) -> float:
    """What training on `rows` takes, without their padding.

    A frozen weight takes 2 operations a token forwards and 2 for the gradient of its input; an adapter's weight 2 more
    for its own gradient. Attention takes 2 for each of queries by keys and shares by values, over half the square, and
    twice that backwards. The output layer is frozen, and is needed only where a token is trained.
    """
    config = model.config
    frozen: float = sum(w.numel() for name, w in model.named_parameters() if "base_layer" in name and w.dim() == 2)
    trained: float = sum(w.numel() for w in model.parameters() if w.requires_grad)
    linear = (4.0 * frozen + 6.0 * trained) * sum(map(tokens_in, rows))
    pairs = sum(row.prefix**2 / 2 + sum(own * (row.prefix + own / 2) for own in row.lengths) for row in rows)
    attention: float = 3 * 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * pairs
    output: float = 4.0 * config.vocab_size * config.hidden_size * sum(len(row.targets) for row in rows)
    return linear + attention + output


def _gemm(script: Path) -> float:
    """GFLOP/s at the shape that most of the model's products have."""
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    (rate,) = re.findall(r"bfloat16 +512x576x1536: ([0-9]+)", done.stdout)
    return float(rate)


def _run(name: str, command: list[str]) -> str:
    from finetune_kit.backends.local.device import quiet_threads

    # As the engine starts its workers; the peer runs as it comes.
    environment = dict(os.environ)
    if "--ours" in command:
        quiet_threads(environment)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    line = done.stdout.strip().splitlines()[-1]
    print(f"{name}: {line}", flush=True)
    return line


def _ours(home: Path, data: Path, count: int, prompt: str) -> str:
    from finetune_kit.backends.local.home import Home
    from finetune_kit.backends.local.models import add_adapter, load_base
    from finetune_kit.backends.local.packing import pack
    from finetune_kit.backends.local.trainer import Measurement, Settings, Step, Trainer
    from tests.watching import Nobody

    class Constant(Trainer):
        """With the peer's schedule."""

        def _learning_rate(self, step: int) -> float:
            return 1e-3

    class Losses(Nobody, list[float]):
        """Collects the loss of every step."""

        def stepped(self, step: Step, validation: Measurement | None) -> str:
            self.append(step.loss)
            return ""

    rows = messages(data)
    random.seed(0)
    random.shuffle(rows)
    loaded = load_base(Home(home), "smollm2-135m", device="cpu", packed=True, progress=lambda what, share: None)
    add_adapter(loaded, seed=0)
    encode = loaded.encoder.row
    trainer = Constant(
        loaded=loaded,
        training=[
            encode({"prompt": f"{prompt}{text}\n\n###\n\n", "completion": f" {label}"}) for text, label in rows[:count]
        ],
        validation=[],
        settings=Settings(n_epochs=1, batch_size=BATCH, learning_rate_multiplier=0.1, seed=0),
        state_folder=home,
    )
    laid = [row for _, batch in trainer._batches() for row in pack(batch)]
    useful = sum(map(tokens_in, laid))
    losses = Losses()
    start = time.perf_counter()
    trainer.run(losses)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    flops = useful_flops(loaded.model, laid)
    return (
        f"{count / seconds:.2f} examples/s, {trainer.tokens / seconds:.0f} tokens/s, "
        f"loss {sum(losses) / len(losses):.3f}, peak RSS {peak:.2f} GB, "
        f"{useful / seconds:.0f} tokens/s laid down at {flops / useful / 1e9:.2f} GFLOP each: "
        f"{flops / seconds / 1e9:.0f} GFLOP/s"
    )


if __name__ == "__main__":
    main()
