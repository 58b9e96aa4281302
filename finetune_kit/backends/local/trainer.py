"""The training loop: packed rows, loss only where it has weight, one float32 master copy of the adapter.

It knows nothing of jobs: it is given examples and settings, reports every step to a `Watcher`, and can go on from a
state it saved earlier. Order and start depend on the seed alone, so a resumed run is the undisturbed run.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from finetune_kit.backends.local.forward import Tally, forward, rows_of
from finetune_kit.backends.local.fused import fuse
from finetune_kit.backends.local.home import writing_tensors
from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.local.options import MAX_GRAD_NORM, WARMUP_RATIO
from finetune_kit.backends.local.packing import Encoded
from finetune_kit.backends.local.preferences import Pair, Pairs, preference_loss
from finetune_kit.backends.local.spec import AUTO_BETA
from finetune_kit.backends.local.state import StateFile
from finetune_kit.errors import EngineError
from finetune_kit.training_options import LearningRateSchedule

if TYPE_CHECKING:
    import torch

REFERENCE_RATE = 0.01
"""Learning rate at a multiplier of 1; the multiplier of 0.1 taken by default gives 1e-3, usual for LoRA."""
_LOWEST_SHARE = 0.1
"""Of the highest learning rate, at the last step."""
_SAVING_SHARE = 0.05
"""Of the time: a large state is saved less often."""
_MEASURED_AT_ONCE = 256
"""Examples of the validation set that are laid into rows together, so that memory does not grow with the set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to train; every value is decided."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    seed: int
    beta: float | None = None
    """Of preference training; None where single examples are learned from."""
    lr_scheduler_type: LearningRateSchedule = "cosine"
    warmup_ratio: float = WARMUP_RATIO
    max_grad_norm: float = MAX_GRAD_NORM
    """0 for no clipping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one optimizer step showed."""

    step: int
    total_steps: int
    epoch: int
    """Counted from 1."""
    loss: float
    accuracy: float
    """Share of trained tokens that the model ranks first; of pairs, share whose preferred answer gained."""
    margin: float
    """Of pairs: mean reward of the preferred answers less that of the others; 0 of single examples."""
    tokens: int
    """Processed so far, prompts included."""
    seconds_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Loss, accuracy and margin over a whole set, each as in `Step`."""

    loss: float
    accuracy: float
    margin: float = 0.0


class Stopped(Exception):  # noqa: N818  not an error: what the watcher wished
    """The watcher asked to stop; the state up to the last step is in memory for `Trainer.save_state`."""

    def __init__(self, wish: str) -> None:
        super().__init__(wish)
        self.wish = wish


class Watcher(Protocol):
    """Told what happens."""

    def stepped(self, step: Step, validation: Measurement | None) -> str:
        """After every step, with the validation result after the last of an epoch; returns a wish to stop, or not."""
        ...

    def epoch_ended(self, step: Step, validation: Measurement | None) -> bool:
        """After each epoch's last step, when the model is worth keeping; returns whether the training is over."""
        ...

    def wished(self) -> str:
        """Before the first step, while a long preparation runs; returns a wish to stop, or not."""
        ...

    def should_save(self, seconds: float) -> bool:
        """After every step; whether the state should be saved, `seconds` after the last time."""
        ...


@dataclass(slots=True)
class Trainer:
    """One run."""

    loaded: Loaded
    training: Sequence[Encoded] | Pairs
    validation: Sequence[Encoded] | Pairs
    settings: Settings
    state_folder: Path
    step: int = 0
    tokens: int = 0
    last_loss: float = math.nan
    last_validation: Measurement | None = None
    over: bool = False
    """Whether the watcher has ended the training before its last step."""
    _parameters: list[torch.Tensor] = field(init=False)
    _master: list[torch.Tensor] = field(init=False)
    _optimizer: torch.optim.AdamW = field(init=False)
    _turn: threading.RLock = field(init=False, default_factory=threading.RLock)

    def __post_init__(self) -> None:
        import torch

        fuse(self.loaded.model)
        self._parameters = [parameter for parameter in self.loaded.model.parameters() if parameter.requires_grad]
        self._master = [parameter.detach().float().clone() for parameter in self._parameters]
        fused = self.loaded.device.type in ("cpu", "cuda")
        self._optimizer = torch.optim.AdamW(self._master, lr=0.0, weight_decay=0.0, fused=fused)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the training set."""
        return -(-len(self.training) // self.settings.batch_size)

    @property
    def total_steps(self) -> int:
        """Optimizer steps in the whole run."""
        return self.steps_per_epoch * self.settings.n_epochs

    def run(self, watcher: Watcher) -> None:
        """Train to the end, or raise `Stopped`."""
        self._prepare(watcher)
        self.loaded.model.train()
        started, first_step, saved, saving = time.monotonic(), self.step, time.monotonic(), 0.0
        for number, batch in self._batches():
            shown = self._gradients(batch)
            with self._turn:  # a state in which the step has changed the weights and was not told yet is none
                self._update(self._learning_rate(number))
                self.step, self.last_loss = number, shown.loss
                self.tokens += sum(len(example.tokens) for example in batch)
                per_step = (time.monotonic() - started) / (number - first_step)
                step = Step(
                    step=number,
                    total_steps=self.total_steps,
                    epoch=-(-number // self.steps_per_epoch),
                    loss=shown.loss,
                    accuracy=shown.accuracy,
                    margin=shown.margin,
                    tokens=self.tokens,
                    seconds_left=per_step * (self.total_steps - number),
                )
                epoch_is_over = number % self.steps_per_epoch == 0
                if epoch_is_over:
                    self.last_validation = self.measure()
                wish = watcher.stepped(step, self.last_validation if epoch_is_over else None)
                if epoch_is_over:
                    self.over = watcher.epoch_ended(step, self.last_validation)
            if wish:
                raise Stopped(wish)
            if self.over:
                return
            since = time.monotonic() - saved
            if since * _SAVING_SHARE >= saving and watcher.should_save(since):
                self.save_state()
                saving = time.monotonic() - saved - since
                saved += since + saving

    @contextmanager
    def at_rest(self, *, timeout_seconds: float) -> Generator[bool]:
        """For another thread: the state does not change meanwhile; false where that could not be had in time."""
        had = self._turn.acquire(timeout=timeout_seconds)
        try:
            yield had
        finally:
            if had:
                self._turn.release()

    def measure(self) -> Measurement | None:
        """Loss and accuracy on the validation set, if there is one."""
        import torch

        if not self.validation:
            return None
        model = self.loaded.model
        model.eval()
        whole = Tally()
        with torch.no_grad():
            for start in range(0, len(self.validation), _MEASURED_AT_ONCE):
                whole.add(self._passed(self.validation[start : start + _MEASURED_AT_ONCE]))
        model.train()
        return _mean(whole)

    def _prepare(self, watcher: Watcher) -> None:
        """Of pairs: what the model that the training starts from makes of them, computed once and kept."""

        def heard() -> None:
            wish = watcher.wished()
            if wish:
                raise Stopped(wish)

        if isinstance(self.training, Pairs) and not self.training.reference:
            self.training = self.training.measured(self.loaded, heard)
        if isinstance(self.validation, Pairs) and not self.validation.reference:
            self.validation = self.validation.measured(self.loaded, heard)

    def _passed(self, batch: Sequence[Encoded] | Sequence[Pair], *, learn: bool = False) -> Tally:
        """A batch through the model; with `learn`, gradients of its mean loss are added."""
        whole = Tally()
        pairs = [one for one in batch if isinstance(one, Pair)]
        singles = [one for one in batch if isinstance(one, Encoded)]
        if pairs:
            beta = AUTO_BETA if self.settings.beta is None else self.settings.beta
            whole.add(preference_loss(self.loaded, pairs, beta, backward_count=len(pairs) if learn else None))
        weight = sum(sum(example.weights) for example in singles)
        for row in rows_of(self.loaded, singles):
            whole.add(forward(self.loaded, row, backward_weight=weight if learn else None))
        return whole

    def _batches(self) -> Iterator[tuple[int, list[Any]]]:
        """(step, examples) from behind the last step done; every epoch is shuffled by the seed and its own number."""
        number = 0
        for epoch in range(0 if self.over else self.settings.n_epochs):
            order = list(range(len(self.training)))
            random.Random(f"{self.settings.seed}/{epoch}").shuffle(order)
            for start in range(0, len(order), self.settings.batch_size):
                number += 1
                if number > self.step:
                    yield number, [self.training[index] for index in order[start : start + self.settings.batch_size]]

    def _learning_rate(self, step: int) -> float:
        """Linear warm-up, then constant, or falling to a tenth at the last step: along half a cosine, or a line."""
        settings = self.settings
        peak = REFERENCE_RATE * settings.learning_rate_multiplier
        warm_up = max(1, round(settings.warmup_ratio * self.total_steps))
        if step <= warm_up:
            return peak * step / warm_up
        share = (step - warm_up) / max(1, self.total_steps - warm_up)
        left = {"constant": 1.0, "linear": 1 - share, "cosine": 0.5 * (1 + math.cos(math.pi * share))}
        return peak * (_LOWEST_SHARE + (1 - _LOWEST_SHARE) * left[settings.lr_scheduler_type])

    def _gradients(self, batch: Sequence[Encoded] | Sequence[Pair]) -> Measurement:
        """Of the mean loss, in the parameters; nothing that is saved changes."""
        whole = self._passed(batch, learn=True)
        if not math.isfinite(whole.loss_sum):
            raise EngineError(
                f"the training loss is {whole.loss_sum} at step {self.step + 1}: the learning rate is too high for "
                "this data. Train with a smaller learning_rate_multiplier."
            )
        return _mean(whole)

    def _update(self, learning_rate: float) -> None:
        import torch

        for master, parameter in zip(self._master, self._parameters, strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        if self.settings.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(self._master, self.settings.max_grad_norm)
        self._optimizer.param_groups[0]["lr"] = learning_rate
        self._optimizer.step()
        self._copy_to_model()

    def _copy_to_model(self) -> None:
        import torch

        with torch.no_grad():
            for parameter, master in zip(self._parameters, self._master, strict=True):
                parameter.copy_(master)

    def save_model(self, folder: Path) -> None:
        """Write the adapter as peft does, or the whole model: a folder that vLLM and transformers load."""
        with writing_tensors():
            self.loaded.model.save_pretrained(folder)
            if self.loaded.model is self.loaded.causal:  # of an adapter, the base has the tokenizer
                self.loaded.encoder.tokenizer.save_pretrained(folder)
            else:
                _sort_layers(folder / "adapter_config.json")

    def save_state(self) -> None:
        """Write what the run needs to go on, under a name that is whole or absent."""
        with self._turn:
            self._save_state()

    def _save_state(self) -> None:
        import torch

        tensors: dict[str, torch.Tensor] = {}
        for index, master in enumerate(self._master):
            tensors[f"{index}.master"] = master
            for key, value in self._optimizer.state[master].items():
                tensors[f"{index}.{key}"] = value
        validation = self.last_validation
        for name, rows in (("training", self.training), ("validation", self.validation)):
            if isinstance(rows, Pairs) and rows.reference:
                tensors[f"reference.{name}"] = torch.tensor(rows.reference, dtype=torch.float64)
        facts = {
            "step": str(self.step),
            "tokens": str(self.tokens),
            "last_loss": repr(self.last_loss),
            "over": "1" if self.over else "",
            "validation_loss": repr(validation.loss) if validation else "",
            "validation_accuracy": repr(validation.accuracy) if validation else "",
            "validation_margin": repr(validation.margin) if validation else "",
        }
        self._state.write(tensors, facts)

    def load_state(self) -> bool:
        """Go on from a saved state, if there is a sound one; return whether there was."""
        saved = self._state.read(self.loaded.device)
        if saved is None:
            return False
        tensors, facts = saved
        for index, master in enumerate(self._master):
            state = {key.partition(".")[2]: value for key, value in tensors.items() if key.startswith(f"{index}.")}
            master.copy_(state.pop("master"))
            self._optimizer.state[master] = state
        if isinstance(self.training, Pairs) and "reference.training" in tensors:
            self.training = replace(self.training, reference=tuple(tensors["reference.training"].tolist()))
        if isinstance(self.validation, Pairs) and "reference.validation" in tensors:
            self.validation = replace(self.validation, reference=tuple(tensors["reference.validation"].tolist()))
        self._copy_to_model()
        self.step, self.tokens, self.last_loss = int(facts["step"]), int(facts["tokens"]), float(facts["last_loss"])
        self.over = bool(facts.get("over"))
        if facts["validation_loss"]:
            self.last_validation = Measurement(
                loss=float(facts["validation_loss"]),
                accuracy=float(facts["validation_accuracy"]),
                margin=float(facts.get("validation_margin") or 0.0),
            )
        return True

    def forget_state(self) -> None:
        """Delete a saved state; the run is over."""
        self._state.forget()

    @property
    def _state(self) -> StateFile:
        return StateFile(self.state_folder / "state.safetensors")


def _mean(whole: Tally) -> Measurement:
    pairs = max(whole.weight, 1.0)
    return Measurement(
        loss=whole.loss_sum / whole.weight, accuracy=whole.right / whole.count, margin=whole.margin / pairs
    )


def _sort_layers(path: Path) -> None:
    """peft writes them in another order in each process; the same training gives the same bytes."""
    config = orjson.loads(path.read_bytes())
    config["target_modules"] = sorted(config["target_modules"])
    path.write_bytes(orjson.dumps(config, option=orjson.OPT_INDENT_2))
