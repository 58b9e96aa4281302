"""What a training needs is told before it starts, and what cannot fit is refused with what would."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from finetune_kit import Dataset, LocalBackend
from finetune_kit.backends.local import free_memory
from finetune_kit.backends.local.free_memory import check_weights, free_bytes
from finetune_kit.backends.local.memory import TrainingMemory
from finetune_kit.backends.local.models import add_adapter
from finetune_kit.errors import InsufficientMemoryError, JobFailedError
from tests.tiny import load_tiny

CPU = torch.device("cpu")
GB = 10**9


@pytest.fixture
def estimate(tiny_base: Path, tmp_path: Path) -> TrainingMemory:
    loaded = load_tiny(tiny_base, tmp_path / "home", packed=True)
    add_adapter(loaded, seed=0)
    return TrainingMemory.of(loaded, longest_tokens=400, batch_tokens=6400, pairs=False)


def test_rows_are_as_long_as_they_get(tiny_base: Path, tmp_path: Path) -> None:
    loaded = load_tiny(tiny_base, tmp_path / "home", packed=True)
    add_adapter(loaded, seed=0)

    def row_tokens(*, longest: int, batch: int, pairs: bool = False) -> int:
        return TrainingMemory.of(loaded, longest_tokens=longest, batch_tokens=batch, pairs=pairs).row_tokens

    assert row_tokens(longest=20, batch=100) == 100
    assert row_tokens(longest=20, batch=5000) == 1024
    assert row_tokens(longest=2000, batch=5000) == 2000
    assert row_tokens(longest=20, batch=5000, pairs=True) == 2048


def test_full_fine_tuning_needs_36_bytes_a_weight_more(tiny_base: Path, tmp_path: Path) -> None:
    loaded = load_tiny(tiny_base, tmp_path / "home", packed=True)
    weights = sum(one.numel() for one in loaded.model.parameters())
    full = TrainingMemory.of(loaded, longest_tokens=20, batch_tokens=100, pairs=False)
    assert (full.trained_bytes, full.adapter) == (36 * weights, False)
    with pytest.raises(InsufficientMemoryError, match=r"for all weights with.*Train a LoRA adapter instead"):
        full.check(1000, base="tiny")


def test_enough_is_enough(estimate: TrainingMemory) -> None:
    estimate.check(estimate.total_bytes, base="tiny")
    estimate.check(None, base="tiny")  # a system that does not tell


def test_the_length_that_fits_is_told_and_fits(estimate: TrainingMemory) -> None:
    long = replace(estimate, row_tokens=4000, longest_tokens=4000)
    free = long.trained_bytes + long.fixed_bytes + int(long.token_bytes * 2500) + 1
    with pytest.raises(InsufficientMemoryError, match="to 2,500 tokens would fit, and the longest has 4,000") as told:
        long.check(free, base="tiny")
    assert (told.value.needed_bytes, told.value.free_bytes) == (long.total_bytes, free)
    replace(long, row_tokens=2500, longest_tokens=2500).check(free, base="tiny")


def test_the_length_that_fits_in_pairs_is_that_of_one_answer(estimate: TrainingMemory) -> None:
    pairs = replace(estimate, row_tokens=8000, longest_tokens=4000, pairs=True)
    free = pairs.trained_bytes + pairs.fixed_bytes + int(pairs.token_bytes * 5000) + 1
    with pytest.raises(InsufficientMemoryError, match="up to 2,500 tokens would fit"):
        pairs.check(free, base="tiny")


def test_where_shorter_examples_do_not_help_a_smaller_model_is_advised(estimate: TrainingMemory) -> None:
    with pytest.raises(InsufficientMemoryError, match="smaller base model or a smaller lora_rank"):
        estimate.check(1000, base="tiny")


def test_weights_that_cannot_fit_are_refused_before_they_are_loaded() -> None:
    config = LlamaConfig(hidden_size=65_536, intermediate_size=262_144, num_hidden_layers=100)
    with pytest.raises(InsufficientMemoryError, match=r"the weights of huge take \d{4,}\.\d GB in bfloat16, and"):
        check_weights(config, torch.bfloat16, CPU, base="huge")


def test_a_job_on_weights_that_cannot_fit_ends_with_that_reason(tiny_base: Path, tmp_path: Path) -> None:
    base = tmp_path / "huge"
    shutil.copytree(tiny_base, base)
    config = json.loads((base / "config.json").read_text())
    config |= {"hidden_size": 65_536, "intermediate_size": 262_144, "num_hidden_layers": 100}
    (base / "config.json").write_text(json.dumps(config))
    data = Dataset.from_records([(f"question {number}", "yes" if number % 2 else "no") for number in range(20)])
    backend = LocalBackend(home=tmp_path / "home", base=str(base))
    job = data.split(0.8).train(model="davinci", backend=backend, n_epochs=1)
    with pytest.raises(JobFailedError, match=r"the weights of .* GB in .* are free\. Take a smaller base model"):
        job.wait()
    fault = job.state.fault
    assert fault is not None
    assert fault.code == "insufficient_memory_error"


def test_what_is_free_here_is_told() -> None:
    free = free_bytes(CPU)
    assert free is not None
    assert 0 < free < 2**50


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system with 16 GB of memory, 8 of them free, whose limits a test sets."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    monkeypatch.setattr(free_memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(free_memory, "_CGROUPS", tmp_path / "cgroup")
    return tmp_path


def limit(folder: Path, names: tuple[str, str, str], limit: str, used: int, cached: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\n")


VERSION_2 = ("memory.max", "memory.current", "inactive_file")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def test_without_limits_it_is_what_the_system_says(system: Path) -> None:
    assert free_bytes(CPU) == 8_192_000_000
    (system / "proc" / "self" / "cgroup").write_text("0::/\n")
    assert free_bytes(CPU) == 8_192_000_000


def test_the_limit_of_a_container_counts_and_what_only_caches_files_is_free(system: Path) -> None:
    (system / "proc" / "self" / "cgroup").write_text("0::/a/b\n")
    limit(system / "cgroup" / "a" / "b", VERSION_2, "max", 10, 0)
    limit(system / "cgroup" / "a", VERSION_2, str(4 * GB), 3 * GB, GB)
    assert free_bytes(CPU) == 2 * GB


def test_limits_of_the_first_version_count_too(system: Path) -> None:
    (system / "proc" / "self" / "cgroup").write_text("5:cpu,memory:/box\n1:name=systemd:/x\n")
    limit(system / "cgroup" / "memory" / "box", VERSION_1, str(2 * GB), GB, 0)
    assert free_bytes(CPU) == GB


def test_files_that_say_nothing_are_no_limit(system: Path) -> None:
    (system / "proc" / "self" / "cgroup").write_bytes(b"0::/\xff\n\nnonsense\n")
    limit(system / "cgroup", VERSION_2, "many", 1, 0)
    (system / "proc" / "meminfo").write_text("MemAvailable: some kB\n")
    assert free_bytes(CPU) is None or free_bytes(CPU)  # all that the machine has
