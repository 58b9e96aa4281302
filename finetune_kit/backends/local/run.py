"""One job from its files to its model: what the worker does with a job it has claimed."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from itertools import islice
from pathlib import Path, PurePath

from finetune_kit._home import settle
from finetune_kit._progress import Progress
from finetune_kit._version import __version__
from finetune_kit.backends.local.device import pick_device, pick_numbers
from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.epochs import best_step, dropped, patience_is_over
from finetune_kit.backends.local.free_memory import free_bytes
from finetune_kit.backends.local.guard import Guard
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.memory import TrainingMemory
from finetune_kit.backends.local.models import load_base
from finetune_kit.backends.local.options import MAX_GRAD_NORM, WARMUP_RATIO, Start, decided_options
from finetune_kit.backends.local.preferences import Pairs
from finetune_kit.backends.local.spec import StoredSpec, decided
from finetune_kit.backends.local.store import Store
from finetune_kit.backends.local.token_rows import TokenRows, token_rows
from finetune_kit.backends.local.trainable import make_trainable
from finetune_kit.backends.local.trainer import Measurement, Settings, Step, Stopped, Trainer
from finetune_kit.backends.protocol import Checkpoint
from finetune_kit.cards import DataFingerprint, Hyperparameters, ModelCard
from finetune_kit.errors import EngineError
from finetune_kit.records import JsonValue
from finetune_kit.training_options import TrainingOptions

SAVE_SECONDS = 30.0
"""A run that is killed repeats at most so much."""
RESULT_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "full_valid_loss",
    "valid_mean_token_accuracy": "full_valid_mean_token_accuracy",
}
"""Of the result file, with the metrics of the events that stand there."""
PREFERENCE_COLUMNS = {
    "train_reward_accuracy": "train_reward_accuracy",
    "train_reward_margin": "train_reward_margin",
    "valid_reward_accuracy": "full_valid_reward_accuracy",
    "valid_reward_margin": "full_valid_reward_margin",
}
_TOLD_SECONDS = 5.0


def run_job(home: Home, store: Store, job_id: str, guard: Guard) -> None:
    """Train the job to its end, or until a wish stops it; the job's final status is written here but for failures.

    `guard` is told of the run as soon as there is a state to save.
    """
    spec = StoredSpec.model_validate_json(store.spec(job_id))
    if _stopped_early(store, job_id):
        return
    store.event(job_id, "Validating training file: " + spec.training_file)
    progress = _tell(store, job_id)
    numbers = store.numbers(job_id) or store.keep_numbers(job_id, pick_numbers(home, pick_device(spec.device)))
    start = _start(home, store, spec)
    base = str(start.folder) if start.whole else spec.base
    loaded = load_base(home, base, device=spec.device, packed=True, progress=progress, numbers=numbers)
    try:
        made = partial(_token_rows, home, store, job_id, loaded.encoder)
        rows = made(file_id=spec.training_file, what="training file")
        checked = made(file_id=spec.validation_file, what="validation file") if spec.validation_file else ()
    except Stopped:
        store.obey(job_id)
        return
    if not rows:
        raise EngineError("the training file holds no rows.")
    preferring = spec.method == "dpo"
    examples = len(rows) // 2 if preferring else len(rows)
    options = decided_options(spec.hyperparameters.options, start, validated=bool(checked))
    settings = decided(spec.hyperparameters, examples=examples, options=options, method=spec.method)
    training = Pairs(rows) if preferring else rows.weighted(settings.prompt_loss_weight or 0.0)
    validation = Pairs(checked) if preferring else checked
    if _stopped_early(store, job_id):
        return
    store.move(job_id, to="running", of=["validating_files"], message="Files validated, training starts.")
    options = make_trainable(loaded, options, seed=spec.seed, start=start)
    settings = settings.model_copy(update={"options": options})
    memory = TrainingMemory.of(
        loaded,
        longest_tokens=rows.longest_tokens,
        batch_tokens=rows.longest_tokens * (settings.batch_size or 1),
        pairs=preferring,
    )
    memory.check(free_bytes(loaded.device), base=spec.base)
    trainer = Trainer(
        loaded=loaded,
        training=training,
        validation=validation,
        settings=Settings(
            n_epochs=settings.n_epochs,
            batch_size=settings.batch_size or 1,
            learning_rate_multiplier=settings.learning_rate_multiplier or 0.0,
            seed=spec.seed,
            beta=settings.beta,
            lr_scheduler_type=options.lr_scheduler_type or "cosine",
            warmup_ratio=WARMUP_RATIO if options.warmup_ratio is None else options.warmup_ratio,
            max_grad_norm=MAX_GRAD_NORM if options.max_grad_norm is None else options.max_grad_norm,
        ),
        state_folder=home.make(home.job(job_id)),
    )
    if trainer.load_state():
        store.event(job_id, f"Going on after step {trainer.step} of {trainer.total_steps}.")
    else:
        store.event(job_id, f"Training needs {memory}.")
    store.rewind(job_id, step=trainer.step)
    run = _Run(home, store, job_id, spec, settings, options, trainer)
    guard.run = trainer
    with home.writing(home.job(job_id)):
        try:
            trainer.run(run)
            run.succeed()
        except Stopped:
            trainer.save_state()
            if store.obey(job_id) == "cancelled":
                trainer.forget_state()


def _stopped_early(store: Store, job_id: str) -> bool:
    wished = bool(store.wish(job_id))
    if wished:
        store.obey(job_id)
    return wished


def _tell(store: Store, job_id: str) -> Progress:
    """Progress of fetching and converting weights, as events at the start and the end."""

    def tell(what: str, share: float) -> None:
        if share in (0.0, 1.0):
            store.event(job_id, f"{what}{' ...' if share == 0.0 else ': done'}")

    return tell


def _start(home: Home, store: Store, spec: StoredSpec) -> Start:
    if spec.start_from is None:
        return Start()
    record = store.model(spec.start_from)
    if record is None:
        raise EngineError(f"the model to start from, {spec.start_from!r}, is no longer there.")
    return Start.of(home.root / record.folder)


def _token_rows(home: Home, store: Store, job_id: str, encoder: Encoder, *, file_id: str, what: str) -> TokenRows:
    """The rows of a file; events tell how far it is where that takes long, and a wish raises `Stopped`."""
    told = time.monotonic()

    def heard(share: float) -> None:
        nonlocal told
        wish = store.wish(job_id)
        if wish:
            raise Stopped(wish)
        if time.monotonic() - told >= _TOLD_SECONDS:
            told = time.monotonic()
            store.event(job_id, f"Tokenising the {what}: {share:.0%}")

    return token_rows(home, store.file_path(file_id), encoder, what=what, heard=heard)


@dataclass(slots=True)
class _Run:
    """Writes down what the trainer does; its `Watcher`."""

    home: Home
    store: Store
    job_id: str
    spec: StoredSpec
    settings: Hyperparameters
    options: TrainingOptions
    trainer: Trainer

    def stepped(self, step: Step, validation: Measurement | None) -> str:
        metrics: dict[str, JsonValue] = {
            "step": step.step,
            "total_steps": step.total_steps,
            "train_loss": round(step.loss, 6),
        }
        if self._preferring:
            metrics["train_reward_accuracy"] = round(step.accuracy, 6)
            metrics["train_reward_margin"] = round(step.margin, 6)
        else:
            metrics["train_mean_token_accuracy"] = round(step.accuracy, 6)
        message = f"Step {step.step}/{step.total_steps}: training loss={step.loss:.4f}"
        if validation is not None:
            metrics |= {name: round(value, 6) for name, value in self._scores(validation).items()}
            message += f", full validation loss={validation.loss:.4f}"
        return self.store.progress(
            self.job_id,
            step=step.step,
            total_steps=step.total_steps,
            trained_tokens=step.tokens,
            seconds_left=step.seconds_left,
            message=message,
            metrics=metrics,
        )

    def epoch_ended(self, step: Step, validation: Measurement | None) -> bool:
        """Keep the model of this epoch, and say whether to go on is of no use."""
        losses = self._losses(step.step, validation)
        best = best_step(losses)
        over = patience_is_over(
            best,
            step.step,
            steps_per_epoch=self.trainer.steps_per_epoch,
            patience=self.options.early_stopping_patience,
        )
        is_last = over or step.step == step.total_steps
        if is_last and not (self.options.best_checkpoint and best != step.step):
            return over  # the model itself comes next
        self._keep_checkpoint(step, validation)
        kept = [one.step for one in self.store.checkpoints(self.job_id)]
        wanted = self.options.best_checkpoint or self.options.early_stopping_patience is not None
        for old in dropped(kept, best=best if wanted else None):
            self.store.drop_checkpoint(self.job_id, step=old)
            shutil.rmtree(self.home.job(self.job_id) / f"step-{old}", ignore_errors=True)
        return over

    def _losses(self, step: int, validation: Measurement | None) -> dict[int, float]:
        """Of the checkpoints before a step, and of this one; never of those that a dead worker wrote behind it."""
        found = {one.step: one.metrics.get("full_valid_loss", math.nan) for one in self._checkpoints_before(step)}
        return found if validation is None else {**found, step: validation.loss}

    def _checkpoints_before(self, step: int) -> list[Checkpoint]:
        return [one for one in self.store.checkpoints(self.job_id) if one.step < step]

    def _keep_checkpoint(self, step: Step, validation: Measurement | None) -> None:
        metrics = {"step": float(step.step), "train_loss": step.loss, **self._scores(validation)}
        name = f"{self._name()}:ckpt-step-{step.step}"
        folder = self._keep_model(f"step-{step.step}", self.trainer.save_model)
        self.store.add_checkpoint(
            self.job_id,
            name=name,
            step=step.step,
            metrics=metrics,
            folder=folder,
            card=self._card(name, self._last_scores).model_dump_json(),
        )

    @property
    def _preferring(self) -> bool:
        return self.spec.method == "dpo"

    def _scores(self, validation: Measurement | None) -> dict[str, float]:
        if validation is None:
            return {}
        if self._preferring:
            rewards = {
                "full_valid_reward_accuracy": validation.accuracy,
                "full_valid_reward_margin": validation.margin,
            }
            return {"full_valid_loss": validation.loss, **rewards}
        return {"full_valid_loss": validation.loss, "full_valid_mean_token_accuracy": validation.accuracy}

    def wished(self) -> str:
        return self.store.wish(self.job_id)

    def should_save(self, seconds: float) -> bool:
        return seconds >= SAVE_SECONDS

    def succeed(self) -> None:
        """Keep the model and its papers, then say so in one transaction."""
        name, step = self._name(), self.trainer.step
        best = best_step(self._losses(step, self.trainer.last_validation)) if self.options.best_checkpoint else None
        if self.trainer.over:
            self._tell_over(step)
        if best is None or best == step:
            folder = self._keep_model("model", self.trainer.save_model)
            card = self._card(name, self._last_scores)
        else:
            [checkpoint] = [one for one in self._checkpoints_before(step) if one.step == best]
            chosen = self.home.job(self.job_id) / f"step-{best}"
            folder = self._keep_model("model", lambda part: shutil.copytree(chosen, part))
            card = self._card(name, {key: value for key, value in checkpoint.metrics.items() if key != "step"})
            loss = checkpoint.metrics["full_valid_loss"]
            self.store.event(
                self.job_id, f"The model is that of step {best}: its validation loss of {loss:.4f} is the lowest."
            )
        (folder / "card.json").write_text(card.model_dump_json(indent=2), encoding="utf-8")
        result_file = self.store.add_file(
            _result_lines(self.store, self.job_id), filename="step_metrics.csv", purpose="fine-tune-results"
        )
        self.store.finish(
            self.job_id,
            name=name,
            folder=folder,
            card=card.model_dump_json(),
            trained_tokens=self.trainer.tokens,
            result_file=result_file,
        )
        self.trainer.forget_state()

    def _tell_over(self, step: int) -> None:
        epochs = self.options.early_stopping_patience
        self.store.event(
            self.job_id,
            f"Stopped early after step {step} of {self.trainer.total_steps}: for {epochs} "
            f"epoch{'' if epochs == 1 else 's'}, the validation loss has not been lower.",
        )

    def _name(self) -> str:
        base = re.sub(r"[^\w.-]", "-", PurePath(self.spec.base).name)  # of a folder or a Hugging Face id, the last part
        return f"ft:{base}:local:{self.spec.suffix or ''}:{self.job_id.removeprefix('ftjob-')[:8]}"

    def _keep_model(self, name: str, write: Callable[[Path], object]) -> Path:
        """What `write` puts into a folder, in one that is whole or absent."""
        folder, part = self.home.job(self.job_id) / name, self.home.job(self.job_id) / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        write(part)
        shutil.rmtree(folder, ignore_errors=True)  # of a worker that died before it could say so
        for file in part.iterdir():
            with file.open("rb+") as written:
                os.fsync(written.fileno())
        settle(part)
        part.replace(folder)
        settle(folder.parent)
        return folder

    @property
    def _last_scores(self) -> dict[str, float]:
        return {"train_loss": self.trainer.last_loss, **self._scores(self.trainer.last_validation)}

    def _card(self, name: str, scores: Mapping[str, float]) -> ModelCard:
        spec = self.spec
        return spec.card.model_copy(
            update={
                "name": name,
                "job_id": self.job_id,
                "created_at": datetime.now(UTC),
                "hyperparameters": self.settings,
                "scores": {key: value for key, value in scores.items() if math.isfinite(value)},
                "training": _fingerprint(self.store, spec.training_file),
                "validation": _fingerprint(self.store, spec.validation_file) if spec.validation_file else None,
                "versions": {"finetune_kit": __version__, **_versions("torch", "transformers", "peft")},
            }
        )


def _fingerprint(store: Store, file_id: str) -> DataFingerprint:
    path = store.file_path(file_id)
    with path.open("rb") as file:
        rows = sum(1 for _ in file)
    return DataFingerprint(rows=rows, sha256=path.name)


def _versions(*packages: str) -> dict[str, str]:
    return {package: metadata.version(package) for package in packages}


def _result_lines(store: Store, job_id: str) -> Iterator[bytes]:
    """The metrics of every step, as the hosted API's result file has them; rewards where pairs were learned from."""
    columns = dict(RESULT_COLUMNS)
    if any("train_reward_margin" in data for data in islice(store.metrics(job_id), 1)):
        columns = {**columns, **PREFERENCE_COLUMNS}
    yield ",".join(columns).encode() + b"\n"
    for data in store.metrics(job_id):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([data.get(key, "") for key in columns.values()])
        yield text.getvalue().encode()
