"""How well the engine learns, by its defaults: banking77, 10 intents x 20 messages, 100 held-out messages, three seeds.

    python -m tests.benchmarks.accuracy [--seeds 0 1 2] [--home FOLDER]

Prints exact-label accuracy of greedy `complete` and of `classify`, called for one message at a time, and their seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from finetune_kit import Dataset, LocalBackend, ModelClient, Split
from tests.benchmarks.banking import DATA, few_intents, messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--home", type=Path, help="where the weights lie or are fetched to")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    pairs = messages(options.data)
    backend = LocalBackend(options.home)
    completed: list[float] = []
    classified: list[float] = []
    ratios: list[float] = []
    for seed in options.seeds:
        train, held_out = few_intents(pairs, intents=10, training=20, held_out=10, seed=seed)
        job = Split(training=Dataset.from_records(train)).train("smollm2-135m", backend=backend, seed=seed).wait()
        model = job.model()
        model.complete("warm up")
        by_complete, complete_seconds = _timed(_completer(model), held_out)
        by_classify, classify_seconds = _timed(_classifier(model), held_out)
        completed.append(by_complete)
        classified.append(by_classify)
        ratios.append(complete_seconds / classify_seconds)
        print(
            f"seed {seed}: complete {by_complete:.0%} in {complete_seconds:.1f} s, classify {by_classify:.0%} in "
            f"{classify_seconds:.1f} s ({ratios[-1]:.1f} times faster)",
            flush=True,
        )
    print(
        f"mean of {len(completed)} seeds: complete {_mean(completed):.1%}, classify {_mean(classified):.1%}, "
        f"classify {_mean(ratios):.1f} times faster"
    )


def _completer(model: ModelClient) -> Callable[[str], str]:
    return lambda text: str(model.complete(text))


def _classifier(model: ModelClient) -> Callable[[str], str]:
    return lambda text: model.classify(text).label


def _timed(answer: Callable[[str], str], held_out: list[tuple[str, str]]) -> tuple[float, float]:
    """Accuracy and seconds."""
    start = time.perf_counter()
    right = sum(answer(message) == intent for message, intent in held_out)
    return right / len(held_out), time.perf_counter() - start


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
