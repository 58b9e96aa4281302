"""One job from its files to its model: what the worker does with a job it has claimed."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
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
from finetune_kit.backends.local.guard import Guard
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import Loaded, add_adapter, load_base
from finetune_kit.backends.local.preferences import Pairs
from finetune_kit.backends.local.spec import StoredSpec, decided
from finetune_kit.backends.local.store import Store
from finetune_kit.backends.local.token_rows import TokenRows, token_rows
from finetune_kit.backends.local.trainer import Measurement, Settings, Step, Stopped, Trainer
from finetune_kit.cards import DataFingerprint, Hyperparameters, ModelCard
from finetune_kit.errors import EngineError
from finetune_kit.records import JsonValue

SAVE_SECONDS = 30.0
"""A run that is killed repeats at most so much."""
KEPT_CHECKPOINTS = 3
"""Of the last epochs, as the hosted API keeps them."""
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
    loaded = load_base(home, spec.base, device=spec.device, packed=True, progress=progress, numbers=numbers)
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
    settings = decided(spec.hyperparameters, examples=examples, method=spec.method)
    training = Pairs(rows) if preferring else rows.weighted(settings.prompt_loss_weight or 0.0)
    validation = Pairs(checked) if preferring else checked
    if _stopped_early(store, job_id):
        return
    store.move(job_id, to="running", of=["validating_files"], message="Files validated, training starts.")
    _add_adapter(home, store, loaded, spec)
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
        ),
        state_folder=home.make(home.job(job_id)),
    )
    if trainer.load_state():
        store.event(job_id, f"Going on after step {trainer.step} of {trainer.total_steps}.")
    store.rewind(job_id, step=trainer.step)
    run = _Run(home, store, job_id, spec, settings, trainer)
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


def _add_adapter(home: Home, store: Store, loaded: Loaded, spec: StoredSpec) -> None:
    start_from = None
    if spec.start_from is not None:
        record = store.model(spec.start_from)
        if record is None:
            raise EngineError(f"the model to start from, {spec.start_from!r}, is no longer there.")
        start_from = home.root / record.folder
    add_adapter(loaded, seed=spec.seed, start_from=start_from)


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

    def epoch_ended(self, step: Step, validation: Measurement | None) -> None:
        if step.step == step.total_steps:
            return  # the model itself comes next
        metrics = {"step": float(step.step), "train_loss": step.loss, **self._scores(validation)}
        name = f"{self._name()}:ckpt-step-{step.step}"
        folder = self._keep_adapter(f"step-{step.step}")
        self.store.add_checkpoint(
            self.job_id,
            name=name,
            step=step.step,
            metrics=metrics,
            folder=folder,
            card=self._card(name).model_dump_json(),
        )
        for old in self.store.checkpoints(self.job_id)[:-KEPT_CHECKPOINTS]:
            self.store.drop_checkpoint(self.job_id, step=old.step)
            shutil.rmtree(self.home.job(self.job_id) / f"step-{old.step}", ignore_errors=True)

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
        """Keep the adapter and its papers, then say so in one transaction."""
        name = self._name()
        folder = self._keep_adapter("model")
        card = self._card(name)
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

    def _name(self) -> str:
        base = re.sub(r"[^\w.-]", "-", PurePath(self.spec.base).name)  # of a folder or a Hugging Face id, the last part
        return f"ft:{base}:local:{self.spec.suffix or ''}:{self.job_id.removeprefix('ftjob-')[:8]}"

    def _keep_adapter(self, name: str) -> Path:
        """The adapter in a folder that is whole or absent."""
        folder, part = self.home.job(self.job_id) / name, self.home.job(self.job_id) / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        self.trainer.save_adapter(part)
        shutil.rmtree(folder, ignore_errors=True)  # of a worker that died before it could say so
        for file in part.iterdir():
            with file.open("rb+") as written:
                os.fsync(written.fileno())
        settle(part)
        part.replace(folder)
        settle(folder.parent)
        return folder

    def _card(self, name: str) -> ModelCard:
        spec = self.spec
        scores = {"train_loss": self.trainer.last_loss, **self._scores(self.trainer.last_validation)}
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
