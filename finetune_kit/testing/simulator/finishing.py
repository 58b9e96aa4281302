"""What a job leaves behind when it has succeeded: models, checkpoints, a result file."""

from __future__ import annotations

from finetune_kit.backends import Checkpoint
from finetune_kit.testing.simulator.blob import content_of
from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.job import Job
from finetune_kit.testing.simulator.results import FILENAME, result_file
from finetune_kit.testing.simulator.training import Outcome, Trained
from finetune_kit.testing.simulator.wire import JsonObject

_SHOWN = (
    "step",
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
)


def model_name(job: Job) -> str:
    """As the host names what it trained."""
    suffix = job.order.suffix
    if job.flavour.azure:
        return f"{job.base}.ft-{job.id.removeprefix('ftjob-')}" + (f"-{suffix}" if suffix else "")
    return f"ft:{job.base}:simulator:{(suffix or '').lower()}:{job.names.new('', 8)}"


def add_checkpoint(job: Job, desk: Desk, checkpoint: Checkpoint, *, model: str, trained: Trained, at: float) -> None:
    """One more checkpoint, the newest first."""
    name = f"{model}:ckpt-step-{checkpoint.step}"
    measured: JsonObject = {key: value for key, value in checkpoint.metrics.items() if key in _SHOWN}
    job.checkpoints.insert(
        0,
        {
            "object": "fine_tuning.job.checkpoint",
            "id": desk.names.hexadecimal("ftchkpt-") if desk.flavour.azure else desk.names.new("ftckpt_"),
            "created_at": int(at),
            "fine_tuned_model_checkpoint": name,
            "fine_tuning_job_id": job.id,
            "metrics": {"step": checkpoint.step, **measured},
            "step_number": checkpoint.step,
        },
    )
    desk.models.add(name, trained, now=at, checkpoint=True)
    if desk.flavour.auto_deploys:
        desk.models.deployments[name] = name


def succeed(job: Job, desk: Desk, outcome: Outcome, *, model: str, trained: Trained, at: float) -> None:
    """All that a successful end brings."""
    settings = outcome.hyperparameters
    chosen: JsonObject = {
        "n_epochs": settings.n_epochs,
        "batch_size": settings.batch_size or 1,
        "learning_rate_multiplier": settings.learning_rate_multiplier or 1.0,
    }
    job.settings = {name: chosen.get(name, value) if value == "auto" else value for name, value in job.settings.items()}
    job.trained_tokens = outcome.state.trained_tokens or 0
    content = result_file(
        [event.data for event in outcome.metrics],
        desk.flavour,
        batch_size=settings.batch_size or 1,
        trained_tokens=job.trained_tokens,
    )
    filename = "results.csv" if desk.flavour.azure else FILENAME
    stored = desk.files.add(content_of(content), filename=filename, purpose="fine-tune-results", now=at)
    job.result_files = [stored.id]
    job.fine_tuned_model = model
    desk.models.add(model, trained, now=at)
    if desk.flavour.auto_deploys:
        desk.models.deployments[model] = model
    job.tell(f"New fine-tuned model created: {model}", at=at)
    job.tell("The job has successfully completed", at=at)
    job.enter("succeeded", at=at)
