"""LoRA's size and layers, early stopping, the best epoch, full fine-tuning and training further, by whole jobs."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from finetune_kit import Dataset, FineTuneJob, LocalBackend, TrainingOptions
from finetune_kit.backends import Sampling
from finetune_kit.backends.local.epochs import best_step, dropped, patience_is_over
from finetune_kit.backends.local.models import Loaded, add_adapter
from finetune_kit.backends.local.options import Start, decided_options
from finetune_kit.backends.local.trainable import make_trainable
from finetune_kit.errors import JobFailedError, ParameterError
from tests.backends.local.runs import colours, until_step
from tests.tiny import load_tiny


@pytest.fixture
def backend(tiny_base: Path, tmp_path: Path) -> LocalBackend:
    return LocalBackend(home=tmp_path / "home", base=str(tiny_base))


def trained(backend: LocalBackend, model: str = "davinci", **settings: Any) -> FineTuneJob:
    more: dict[str, Any] = {"n_epochs": 1, **settings}
    return colours().train(model, backend=backend, **more).wait(120)


def folder_of(backend: LocalBackend, job: FineTuneJob) -> Path:
    return backend.home.job(job.id) / "model"


def taken(job: FineTuneJob) -> TrainingOptions:
    options = job.card.hyperparameters.options
    assert options is not None
    return options


# adapters


def test_an_adapter_has_the_rank_the_alpha_and_the_layers_that_were_asked_for(backend: LocalBackend) -> None:
    asked = TrainingOptions(lora_rank=4, lora_alpha=6, lora_target_modules=("v_proj", "q_proj"))
    job = trained(backend, options=asked)
    config = json.loads((folder_of(backend, job) / "adapter_config.json").read_bytes())
    assert (config["r"], config["lora_alpha"]) == (4, 6)
    tensors = load_file(folder_of(backend, job) / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in tensors} == {"q_proj", "v_proj"}
    assert {tensor.shape[0] for name, tensor in tensors.items() if "lora_A" in name} == {4}
    assert taken(job).lora_target_modules == ("q_proj", "v_proj")
    assert job.model().complete("question 1")


def test_the_card_tells_what_was_taken_where_nothing_was_asked_for(backend: LocalBackend) -> None:
    layers = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
    assert taken(trained(backend)) == TrainingOptions(
        lora_rank=16,
        lora_alpha=32,
        lora_target_modules=layers,
        full_fine_tuning=False,
        best_checkpoint=False,
        lr_scheduler_type="cosine",
        warmup_ratio=0.06,
        max_grad_norm=1.0,
    )


def test_a_layer_that_is_not_there_fails_the_job_with_those_that_are(backend: LocalBackend) -> None:
    asked = TrainingOptions(lora_target_modules=("q_proj", "lm_head"))
    with pytest.raises(JobFailedError, match=r"no linear layers named 'lm_head'. It has down_proj, gate_proj, k_proj"):
        trained(backend, options=asked)


# epochs


def test_the_best_step_has_the_lowest_loss_the_latest_of_equals() -> None:
    assert best_step({4: 2.0, 8: 1.0, 12: 1.0, 16: float("nan")}) == 12
    assert best_step({4: float("nan")}) is None
    assert best_step({}) is None


def test_patience_is_counted_in_epochs_from_the_best() -> None:
    assert not patience_is_over(8, 12, steps_per_epoch=4, patience=2)
    assert patience_is_over(8, 16, steps_per_epoch=4, patience=2)
    assert not patience_is_over(8, 400, steps_per_epoch=4, patience=None)


def test_the_best_checkpoint_stays_when_older_ones_go() -> None:
    assert dropped([4, 8, 12, 16, 20], best=4) == [8]
    assert dropped([4, 8, 12, 16, 20], best=None) == [4, 8]
    assert dropped([4], best=None) == []


def by_heart(backend: LocalBackend, **settings: Any) -> FineTuneJob:
    """Labels that nothing explains: what is learned of them makes the validation loss rise."""
    chance = random.Random(0)
    rows = [(f"question {chance.random()}", chance.choice(("red", "blue"))) for _ in range(40)]
    split = Dataset.from_records(rows).split(0.8)
    more: dict[str, Any] = {"batch_size": 4, "learning_rate_multiplier": 1.0, "seed": 1, **settings}
    return split.train("davinci", backend=backend, **more).wait(120)


def best_of(losses: dict[int, float]) -> int:
    return min(losses, key=lambda step: (losses[step], -step))


def losses_of(job: FineTuneJob) -> dict[int, float]:
    return {row.step: row.valid_loss for row in job.results().metrics if row.valid_loss is not None}


def test_early_stopping_ends_the_job_and_its_model_is_that_of_the_best_epoch(backend: LocalBackend) -> None:
    options = TrainingOptions(early_stopping_patience=2, lr_scheduler_type="constant")
    job = by_heart(backend, n_epochs=40, options=options)
    losses = losses_of(job)
    best = best_of(losses)
    assert list(losses) == sorted(losses)
    assert max(losses) - best == 2 * 8
    assert max(losses) < 40 * 8
    messages = [event.message for event in job.events()]
    assert any(
        message.startswith(f"Stopped early after step {max(losses)} of 320: for 2 epochs") for message in messages
    )
    assert any(message.startswith(f"The model is that of step {best}") for message in messages)
    kept = backend.home.job(job.id) / f"step-{best}"
    name = "adapter_model.safetensors"
    assert (folder_of(backend, job) / name).read_bytes() == (kept / name).read_bytes()
    assert job.card.scores["full_valid_loss"] == pytest.approx(losses[best], abs=1e-6)
    assert job.best_checkpoint().step == best
    assert job.model().complete("question 1")


def test_the_best_epoch_stays_beside_the_last_three_and_is_the_model(backend: LocalBackend) -> None:
    options = TrainingOptions(best_checkpoint=True, lr_scheduler_type="constant")
    job = by_heart(backend, n_epochs=30, options=options)
    losses = losses_of(job)
    best = best_of(losses)
    assert best < 216
    assert [one.step for one in job.checkpoints()] == [best, 224, 232, 240]
    assert job.card.scores["full_valid_loss"] == pytest.approx(losses[best], abs=1e-6)


def test_the_last_epoch_is_the_model_unless_the_best_is_asked_for(backend: LocalBackend) -> None:
    options = TrainingOptions(early_stopping_patience=1, best_checkpoint=False, lr_scheduler_type="constant")
    job = by_heart(backend, n_epochs=40, options=options)
    losses = losses_of(job)
    assert best_of(losses) < max(losses)
    assert job.card.scores["full_valid_loss"] == pytest.approx(losses[max(losses)], abs=1e-6)


# full fine-tuning


def test_full_fine_tuning_leaves_a_whole_model_that_loads_anywhere_and_answers(
    backend: LocalBackend, tiny_base: Path
) -> None:
    options = TrainingOptions(full_fine_tuning=True)
    job = trained(backend, n_epochs=3, options=options, learning_rate_multiplier=0.1)
    folder = folder_of(backend, job)
    assert not (folder / "adapter_config.json").exists()
    whole = AutoModelForCausalLM.from_pretrained(folder)
    base = dict(AutoModelForCausalLM.from_pretrained(tiny_base).named_parameters())
    same = [name for name, value in whole.named_parameters() if torch.equal(value.float(), base[name].float())]
    assert same == []
    answer = backend.complete(job.model().name, [_prompt(job)], _four())
    assert answer == LocalBackend(home=backend.home.root, base=str(folder)).complete("davinci", [_prompt(job)], _four())
    assert [one.step for one in job.checkpoints()] == [4, 8]
    assert job.model(job.checkpoints()[0].name).complete("question 1", max_tokens=4) is not None
    assert taken(job).lora_rank is None


def test_full_fine_tuning_paused_and_resumed_is_the_undisturbed_one(backend: LocalBackend) -> None:
    settings: dict[str, Any] = {
        "n_epochs": 12,
        "options": TrainingOptions(full_fine_tuning=True),
        "learning_rate_multiplier": 0.05,
        "batch_size": 1,
    }
    whole = trained(backend, **settings)
    job = colours().train("davinci", backend=backend, suffix="again", **settings)
    until_step(job, 20)
    job.pause()
    while job.refresh().status != "paused":
        assert not job.state.finished
    job.resume()
    job.wait(120)
    names = ("model.safetensors", "config.json")
    for name in names:
        assert (folder_of(backend, job) / name).read_bytes() == (folder_of(backend, whole) / name).read_bytes()


def _prompt(job: FineTuneJob) -> str:
    template = job.card.template
    assert template is not None
    return template.prompt("question 1")


def _four() -> Sampling:
    return Sampling(max_tokens=4, stop=("\n",))


# repeatable


def test_one_seed_gives_one_model_to_the_byte_in_another_worker_and_another_seed_another(backend: LocalBackend) -> None:
    found: list[tuple[bytes, bytes, list[object]]] = []
    for seed, suffix in ((1, "a"), (1, "b"), (2, "c")):
        job = trained(backend, n_epochs=2, seed=seed, suffix=suffix)
        folder = folder_of(backend, job)
        shown = [event.data for event in job.events() if event.type == "metrics"]
        found.append(
            (
                (folder / "adapter_model.safetensors").read_bytes(),
                (folder / "adapter_config.json").read_bytes(),
                list(shown),
            )
        )
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][2] != found[2][2]


# training further


def said(loaded: Loaded) -> torch.Tensor:
    loaded.model.eval()
    with torch.no_grad():
        logits: torch.Tensor = loaded.model(input_ids=torch.arange(3, 40)[None]).logits
    return logits


@pytest.fixture
def earlier(tiny_base: Path, tmp_path: Path) -> tuple[Path, torch.Tensor]:
    """An adapter of rank 4 on two layers, and what the model says with it."""
    loaded = load_tiny(tiny_base, tmp_path)
    add_adapter(loaded, seed=1, rank=4, alpha=6, target_modules=["q_proj", "v_proj"])
    chance = torch.Generator().manual_seed(1)
    for name, value in loaded.model.named_parameters():
        if "lora_B" in name:
            value.data = torch.randn(value.shape, generator=chance)
    loaded.model.save_pretrained(tmp_path / "earlier")
    return tmp_path / "earlier", said(loaded)


@pytest.mark.parametrize(
    "asked",
    [
        TrainingOptions(),
        TrainingOptions(lora_rank=8),
        TrainingOptions(lora_rank=8, lora_alpha=3),
        TrainingOptions(lora_target_modules=("q_proj", "v_proj", "down_proj")),
        TrainingOptions(full_fine_tuning=True),
    ],
    ids=["as it was", "a higher rank", "another alpha", "more layers", "all weights"],
)
def test_a_model_that_is_trained_further_says_at_first_what_it_said(
    asked: TrainingOptions, earlier: tuple[Path, torch.Tensor], tiny_base: Path, tmp_path: Path
) -> None:
    folder, before = earlier
    start = Start.of(folder)
    loaded = load_tiny(tiny_base, tmp_path)
    options = make_trainable(loaded, decided_options(asked, start, validated=False), seed=2, start=start)
    assert torch.allclose(said(loaded), before, atol=1e-4)
    assert options.lora_rank == (None if asked.full_fine_tuning else asked.lora_rank or 4)
    assert any(value.requires_grad for value in loaded.model.parameters())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (TrainingOptions(lora_rank=2), "lora_rank=2: the model to start from has an adapter of rank 4"),
        (TrainingOptions(lora_target_modules=("q_proj",)), "has an adapter on v_proj too"),
    ],
)
def test_an_adapter_is_not_made_smaller(
    asked: TrainingOptions, message: str, earlier: tuple[Path, torch.Tensor]
) -> None:
    with pytest.raises(ParameterError, match=message):
        decided_options(asked, Start.of(earlier[0]), validated=False)


def test_training_further_takes_the_earlier_rank_and_refuses_a_smaller_before_a_job_is_made(
    backend: LocalBackend,
) -> None:
    first = trained(backend, options=TrainingOptions(lora_rank=4))
    name = first.model().name
    again = trained(backend, name, suffix="again")
    assert replace(taken(again), lora_target_modules=None) == replace(taken(first), lora_target_modules=None)
    jobs = len(backend.jobs())
    with pytest.raises(ParameterError, match="adapter of rank 4"):
        trained(backend, name, options=TrainingOptions(lora_rank=2))
    assert len(backend.jobs()) == jobs
    larger = trained(backend, name, options=TrainingOptions(lora_rank=6))
    assert (taken(larger).lora_rank, taken(larger).lora_alpha) == (6, 12)


def test_a_whole_model_is_trained_further_as_a_whole(backend: LocalBackend) -> None:
    name = trained(backend, options=TrainingOptions(full_fine_tuning=True)).model().name
    again = trained(backend, name)
    assert taken(again).full_fine_tuning
    assert not (folder_of(backend, again) / "adapter_config.json").exists()
    with pytest.raises(ParameterError, match="lora_rank=8: the model to start from was fully fine-tuned"):
        trained(backend, name, options=TrainingOptions(lora_rank=8))
