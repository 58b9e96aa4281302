"""TRL's SFTTrainer in its best setting here (weights in bfloat16), with the same text before every row.

    python peer_prompt.py MODEL_FOLDER TRAIN.csv --rows 32 --prompt TEXT

Run by an environment with torch, transformers, peft, trl and datasets; `tests.benchmarks.training` calls it.
"""

from __future__ import annotations

import argparse
import csv
import random
import resource
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("train", type=Path)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--prompt", required=True)
    options = parser.parse_args()
    datasets, peft, transformers, trl = map(import_module, ("datasets", "peft", "transformers", "trl"))
    with options.train.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.seed(0)
    random.shuffle(rows)
    data: Any = datasets.Dataset.from_list(
        [
            {"prompt": f"{options.prompt}{row['text']}\n\n###\n\n", "completion": f" {row['category']}"}
            for row in rows[: options.rows]
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = trl.SFTTrainer(
            model=options.model,
            args=trl.SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=16,
                num_train_epochs=1,
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                use_cpu=True,
                learning_rate=1e-3,
                lr_scheduler_type="constant",
                completion_only_loss=True,
                disable_tqdm=True,
                bf16=True,
                model_init_kwargs={"dtype": "bfloat16"},
            ),
            train_dataset=data,
            processing_class=transformers.AutoTokenizer.from_pretrained(options.model),
            peft_config=peft.LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
        start = time.perf_counter()
        result = trainer.train()
        seconds = time.perf_counter() - start
    print(
        f"{options.rows / seconds:.2f} examples/s, loss {result.metrics['train_loss']:.3f}, "
        f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"
    )


if __name__ == "__main__":
    main()
