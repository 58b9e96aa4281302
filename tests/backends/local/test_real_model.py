"""The embedded base model really learns: the package's own customer-service set, trained and asked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import finetune_kit
from finetune_kit import Dataset, LocalBackend
from finetune_kit.records import CompletionExample
from tests.backends.local.runs import worker_pids

pytestmark = [pytest.mark.real_model, pytest.mark.slow]

DEMO = Path(finetune_kit.__file__).parent / "demo" / "support_en.csv"
MOST_MEMORY_BYTES = 2.5e9


@pytest.fixture(autouse=True)
def all_threads(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker takes all of this machine."""
    monkeypatch.delenv("OMP_NUM_THREADS")


@contextmanager
def peak_memory(home: Path) -> Generator[list[int]]:
    """The most bytes that a worker of `home` held while the block ran; nothing where there is no /proc."""
    peaks: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            for pid in worker_pids(home):
                try:
                    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
                except OSError:  # it has just ended
                    continue
                peaks.extend(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def test_the_real_model_beats_the_majority_class_by_far(real_home: Path) -> None:
    """Two epochs; its worker stays below 2.5 GB."""
    split = Dataset.from_csv(DEMO).split(0.8)
    assert split.validation is not None
    with peak_memory(real_home) as peaks:
        job = split.train("davinci", backend=LocalBackend(home=real_home), n_epochs=2).wait(timeout_seconds=280)
    held_out = [example for example in split.validation if isinstance(example, CompletionExample)]
    answers = job.model().classify_many([example.prompt for example in held_out])
    right = sum(str(label) == example.completion for label, example in zip(answers, held_out, strict=True))
    right_share = right / len(held_out)
    majority_share = Counter(example.completion for example in held_out).most_common(1)[0][1] / len(held_out)
    print(f"right {right_share:.2f}, majority class {majority_share:.2f}, most bytes {max(peaks, default=0):,}")
    assert right_share > majority_share + 0.4
    if Path("/proc/self/status").exists():
        assert 0 < max(peaks) < MOST_MEMORY_BYTES
