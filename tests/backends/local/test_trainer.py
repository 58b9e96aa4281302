"""The training loop computes what plain training computes, and a resumed run is the undisturbed run."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional

from finetune_kit.backends.local.models import Loaded, add_adapter
from finetune_kit.backends.local.packing import Encoded, pack
from finetune_kit.backends.local.trainer import Measurement, Settings, Step, Stopped, Trainer
from finetune_kit.errors import EngineError
from tests.tiny import load_tiny
from tests.watching import Nobody

SETTINGS = Settings(n_epochs=2, batch_size=8, learning_rate_multiplier=0.5, seed=3)


@dataclass
class Recorder(Nobody):
    """A watcher that remembers, and stops the run after a step."""

    stop_after: int | None = None
    steps: list[Step] = field(default_factory=list[Step])
    validations: list[tuple[int, Measurement]] = field(default_factory=list[tuple[int, Measurement]])
    epochs: list[int] = field(default_factory=list[int])
    over_after: int | None = None

    def stepped(self, step: Step, validation: Measurement | None) -> str:
        self.steps.append(step)
        if validation is not None:
            self.validations.append((step.step, validation))
        return "pause" if step.step == self.stop_after else ""

    def epoch_ended(self, step: Step, validation: Measurement | None) -> bool:
        self.epochs.append(step.step)
        return step.step == self.over_after

    @property
    def losses(self) -> list[float]:
        return [step.loss for step in self.steps]


def examples(count: int, *, shortest: int = 4, longest: int = 60, prompt_weight: float = 0.01) -> list[Encoded]:
    """Random texts of different lengths; the first half of each is its prompt."""
    chance = random.Random(count)
    made: list[Encoded] = []
    for _ in range(count):
        length = chance.randint(shortest, longest)
        tokens = tuple(chance.randrange(3, 250) for _ in range(length))
        half = length // 2
        made.append(Encoded(tokens, (0.0, *[prompt_weight] * (half - 1), *[1.0] * (length - half))))
    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def trainer_on(
    base: Path,
    home: Path,
    training: Sequence[Encoded],
    *,
    packed: bool = True,
    validation: Sequence[Encoded] = (),
    settings: Settings = SETTINGS,
    state: str = "state",
) -> Trainer:
    loaded = load_tiny(base, home, packed=packed)
    add_adapter(loaded, seed=settings.seed)
    return Trainer(
        loaded=loaded, training=training, validation=validation, settings=settings, state_folder=home / state
    )


def adapter_of(trainer: Trainer) -> torch.Tensor:
    """All trained numbers in one row."""
    trained = [value.detach().flatten() for value in trainer.loaded.model.parameters() if value.requires_grad]
    return torch.cat(trained)


def plain_loss(loaded: Loaded, batch: Sequence[Encoded]) -> float:
    """The weighted mean of the cross-entropy of every token, computed one example at a time and in the plainest way."""
    total = weight = 0.0
    for example in batch:
        with torch.no_grad():
            logits = loaded.model(input_ids=torch.tensor([example.tokens])).logits[0]
        each = functional.cross_entropy(logits[:-1], torch.tensor(example.tokens[1:]), reduction="none")
        total += float((each * torch.tensor(example.weights[1:])).sum())
        weight += sum(example.weights[1:])
    return total / weight


@pytest.mark.parametrize("prompt_weight", [0.0, 0.01, 0.5, 1.0])
def test_the_loss_is_the_weighted_mean_of_the_cross_entropy(prompt_weight: float, tiny_base: Path, home: Path) -> None:
    data = examples(20, prompt_weight=prompt_weight)
    trainer = trainer_on(tiny_base, home, data, validation=data)
    measured = trainer.measure()
    assert measured is not None
    assert measured.loss == pytest.approx(plain_loss(load_tiny(tiny_base, home), data), rel=1e-5)


def test_the_first_steps_loss_is_that_of_the_untrained_model(tiny_base: Path, home: Path) -> None:
    data = examples(6)
    trainer = trainer_on(tiny_base, home, data)
    watcher = Recorder(stop_after=1)
    with pytest.raises(Stopped, match="pause"):
        trainer.run(watcher)
    assert watcher.losses == [pytest.approx(plain_loss(load_tiny(tiny_base, home), data), rel=1e-5)]


@pytest.mark.parametrize(
    ("count", "shortest", "longest", "rows"),
    [(24, 4, 60, 1), (16, 250, 500, 3)],
    ids=["one row a step", "gradients gathered over several rows a step"],
)
def test_packed_training_is_training_with_one_example_in_a_row(
    count: int, shortest: int, longest: int, rows: int, tiny_base: Path, home: Path
) -> None:
    """In float32, losses to one part in 10,000 and adapters to 0.0001 after two epochs at a high learning rate."""
    data = examples(count, shortest=shortest, longest=longest)
    assert len(pack(data[: SETTINGS.batch_size])) >= rows
    runs: list[tuple[list[float], torch.Tensor]] = []
    for packed in (True, False):
        trainer, watcher = trainer_on(tiny_base, home, data, packed=packed), Recorder()
        trainer.run(watcher)
        runs.append((watcher.losses, adapter_of(trainer)))
    (packed_losses, packed_adapter), (plain_losses, plain_adapter) = runs
    assert packed_losses == pytest.approx(plain_losses, rel=1e-4)
    assert torch.allclose(packed_adapter, plain_adapter, atol=1e-4)
    assert packed_losses[-1] < packed_losses[0]


def test_a_long_example_takes_the_fused_attention_and_gives_the_same(tiny_base: Path, home: Path) -> None:
    data = examples(3, shortest=513, longest=600)  # longer than the tiny model's context, which its positions allow
    trainer = trainer_on(tiny_base, home, data, validation=data)
    measured = trainer.measure()
    assert measured is not None
    assert measured.loss == pytest.approx(plain_loss(load_tiny(tiny_base, home), data), rel=1e-4)


def test_examples_of_one_row_do_not_see_one_another(tiny_base: Path, home: Path) -> None:
    first, *others = examples(8)
    alone = trainer_on(tiny_base, home, [first], validation=[first]).measure()
    strangers = [replace(other, weights=(*[0.0] * (len(other.tokens) - 1), 1e-12)) for other in others]
    among = trainer_on(tiny_base, home, [first], validation=[first, *strangers]).measure()
    assert alone is not None
    assert among is not None
    assert among.loss == pytest.approx(alone.loss, rel=1e-5)


def test_steps_tell_where_the_run_is(tiny_base: Path, home: Path) -> None:
    data = examples(20)
    trainer, watcher = trainer_on(tiny_base, home, data, validation=examples(4)), Recorder()
    trainer.run(watcher)
    assert [step.step for step in watcher.steps] == [1, 2, 3, 4, 5, 6]
    assert [step.epoch for step in watcher.steps] == [1, 1, 1, 2, 2, 2]
    assert {step.total_steps for step in watcher.steps} == {6}
    assert watcher.steps[-1].tokens == 2 * sum(len(example.tokens) for example in data)
    assert watcher.steps[-1].seconds_left == 0
    assert watcher.epochs == [step for step, _ in watcher.validations] == [3, 6]


def test_every_epoch_takes_every_example_in_an_order_of_its_own(tiny_base: Path, home: Path) -> None:
    data = examples(20)
    batches = [batch for _, batch in trainer_on(tiny_base, home, data)._batches()]
    first, second = batches[:3], batches[3:]
    for epoch in (first, second):
        assert sorted(example.tokens for batch in epoch for example in batch) == sorted(one.tokens for one in data)
    assert first != second


def test_the_seed_alone_decides(tiny_base: Path, home: Path) -> None:
    data, results = examples(16), list[list[float]]()
    for seed in (1, 1, 2):
        trainer, watcher = trainer_on(tiny_base, home, data, settings=replace(SETTINGS, seed=seed)), Recorder()
        trainer.run(watcher)
        results.append(watcher.losses)
    assert results[0] == results[1] != results[2]


def test_a_resumed_run_is_the_undisturbed_run(tiny_base: Path, home: Path) -> None:
    data, validation = examples(20), examples(5)
    whole, watcher = trainer_on(tiny_base, home, data, validation=validation), Recorder()
    assert not whole.load_state()
    whole.run(watcher)

    stopped, before = trainer_on(tiny_base, home, data, validation=validation), Recorder(stop_after=4)
    with pytest.raises(Stopped):
        stopped.run(before)
    stopped.save_state()

    resumed, after = trainer_on(tiny_base, home, data, validation=validation), Recorder()
    assert resumed.load_state()
    assert (resumed.step, resumed.tokens, resumed.last_loss) == (4, stopped.tokens, stopped.last_loss)
    assert resumed.last_validation == stopped.last_validation
    resumed.run(after)
    assert before.losses + after.losses == watcher.losses
    assert torch.equal(adapter_of(resumed), adapter_of(whole))
    assert (resumed.tokens, resumed.last_validation) == (whole.tokens, whole.last_validation)


def test_the_saved_state_is_safetensors_so_that_loading_it_runs_nothing(tiny_base: Path, home: Path) -> None:
    trainer = trainer_on(tiny_base, home, examples(8))
    with pytest.raises(Stopped):
        trainer.run(Recorder(stop_after=1))
    trainer.save_state()
    (file,) = (home / "state").iterdir()
    assert file.name == "state.safetensors"
    with safe_open(file, framework="pt") as state:
        assert state.metadata()["step"] == "1"
        assert {"0.master", "0.exp_avg", "0.exp_avg_sq", "0.step"} <= set(state.keys())
    trainer.forget_state()
    assert not file.exists()


def test_a_damaged_state_begins_the_run_anew(tiny_base: Path, home: Path) -> None:
    trainer = trainer_on(tiny_base, home, examples(8))
    with pytest.raises(Stopped):
        trainer.run(Recorder(stop_after=1))
    trainer.save_state()
    file = home / "state" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    fresh = trainer_on(tiny_base, home, examples(8))
    assert not fresh.load_state()
    assert fresh.step == 0


@pytest.mark.parametrize("harm", [lambda sound: sound[:-100], lambda sound: sound[:-64] + bytes(64), lambda sound: b""])
def test_a_state_torn_by_a_loss_of_power_gives_way_to_the_one_before_it(
    harm: Callable[[bytes], bytes], tiny_base: Path, home: Path
) -> None:
    """Cut short, with its last block never written, or empty."""
    trainer = trainer_on(tiny_base, home, examples(8))
    for step in (1, 2):
        with pytest.raises(Stopped):
            trainer.run(Recorder(stop_after=step))
        trainer.save_state()
    file = home / "state" / "state.safetensors"
    file.write_bytes(harm(file.read_bytes()))
    fresh = trainer_on(tiny_base, home, examples(8))
    assert fresh.load_state()
    assert fresh.step == 1
    fresh.forget_state()
    assert not list(file.parent.iterdir())


def test_a_loss_that_is_no_number_stops_the_run_with_its_reason(tiny_base: Path, home: Path) -> None:
    trainer = trainer_on(tiny_base, home, examples(8), settings=replace(SETTINGS, learning_rate_multiplier=math.inf))
    with pytest.raises(EngineError, match=r"training loss is nan at step 2.*smaller learning_rate_multiplier"):
        trainer.run(Recorder())


def test_the_learning_rate_rises_then_falls_to_a_tenth(tiny_base: Path, home: Path) -> None:
    trainer = trainer_on(tiny_base, home, examples(80), settings=replace(SETTINGS, n_epochs=10))
    rates = [trainer._learning_rate(step) for step in range(1, trainer.total_steps + 1)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(max(rates) / 10)


class Held:
    """Counts the bytes that the passes through a model keep for their way back, at most at one time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def keep(self, tensor: torch.Tensor) -> Kept:
        self.now += tensor.nbytes
        self.most = max(self.most, self.now)
        return Kept(tensor, self)


class Kept:
    """One of those tensors, until it is let go."""

    def __init__(self, tensor: torch.Tensor, held: Held) -> None:
        self.tensor, self.held = tensor, held

    def __del__(self) -> None:
        self.held.now -= self.tensor.nbytes


@pytest.mark.parametrize("share", [0, 40])
def test_memory_does_not_grow_with_the_batch(share: int, tiny_base: Path, home: Path) -> None:
    beginning = tuple(range(100, 100 + share))
    data = [Encoded((*beginning, *one.tokens), (*[0.0] * share, *one.weights)) for one in examples(512)]
    most: dict[int, int] = {}
    for batch_size in (64, 512):
        settings = replace(SETTINGS, n_epochs=1, batch_size=batch_size)
        trainer, held = trainer_on(tiny_base, home, data, settings=settings), Held()
        with torch.autograd.graph.saved_tensors_hooks(held.keep, lambda kept: kept.tensor):
            trainer.run(Recorder())
        assert held.now == 0
        most[batch_size] = held.most
    assert most[512] < 1.2 * most[64]
