"""What every backend promises before any model is trained, and about jobs that do not succeed at once."""

from __future__ import annotations

from collections.abc import Callable

from finetune_kit.backends import Sampling, StreamsFiles
from finetune_kit.errors import BackendError, FinetuneKitError, JobNotFoundError, UnknownModelError
from finetune_kit.testing.trial import LABELS, PROMPTS, Trial, adds_up, promise

NOWHERE = "no-such-thing-anywhere"


def names_are_resolved(trial: Trial) -> None:
    """Base models stand for themselves, aliases for a base model, and a note says so."""
    backend = trial.backend
    resolved = backend.resolve(trial.model)
    promise(resolved.requested == resolved.model == trial.model, f"{trial.model!r} is resolved as {resolved!r}.")
    for alias in backend.profile.aliases:
        resolved = backend.resolve(alias)
        promise(
            resolved.requested == alias and resolved.model in backend.profile.models and bool(resolved.note),
            f"the alias {alias!r} is resolved as {resolved!r}: it needs a model of the profile, and a note about it.",
        )


def unknown_models_are_refused(trial: Trial) -> None:
    """Each call that takes a model says which there are."""
    backend, sampling = trial.backend, Sampling(max_tokens=1)
    calls: dict[str, Callable[[], object]] = {
        "resolve": lambda: backend.resolve(NOWHERE),
        "card": lambda: backend.card(NOWHERE),
        "card of a fine-tuned model": lambda: backend.card(f"ft:{NOWHERE}"),
        "complete": lambda: backend.complete(NOWHERE, ["Hi"], sampling),
        "chat": lambda: backend.chat(NOWHERE, [[{"role": "user", "content": "Hi"}]], sampling),
        "rank": lambda: backend.rank(NOWHERE, ["Hi"], LABELS),
        "rank_chat": lambda: backend.rank_chat(NOWHERE, [[{"role": "user", "content": "Hi"}]], LABELS),
    }
    for name, call in calls.items():
        error = _refused(f"{name} with an unknown model", call, UnknownModelError)
        promise(trial.model in getattr(error, "known", ()), f"{name}: the error's `known` lacks {trial.model!r}.")


def unknown_jobs_are_refused(trial: Trial) -> None:
    """Each call that takes a job."""
    backend = trial.backend
    calls: dict[str, Callable[[], object]] = {
        "job": lambda: backend.job(NOWHERE),
        "events": lambda: backend.events(NOWHERE),
        "checkpoints": lambda: backend.checkpoints(NOWHERE),
        "cancel": lambda: backend.cancel(NOWHERE),
        "pause": lambda: backend.pause(NOWHERE),
        "resume": lambda: backend.resume(NOWHERE),
    }
    for name, call in calls.items():
        _refused(f"{name} with an unknown job", call, JobNotFoundError)


def unknown_files_are_refused(trial: Trial) -> None:
    """With an error of this library."""
    _refused("file_content with an unknown file", lambda: trial.backend.file_content(NOWHERE), BackendError)


def _refused(what: str, call: Callable[[], object], kind: type[FinetuneKitError]) -> FinetuneKitError:
    try:
        call()
    except kind as error:
        return error
    except Exception as error:
        raise AssertionError(f"{what} raises {error!r}, and should raise {kind.__name__}.") from error
    raise AssertionError(f"{what} raises nothing, and should raise {kind.__name__}.")


def files_come_back(trial: Trial) -> None:
    """Byte for byte, each under its own id."""
    one, other = [b'{"prompt": "\xe4\xbd\xa0\xe5\xa5\xbd", "completion": "\\u2028"}', b"{}"], [b'{"prompt": ""}']
    ids = [trial.upload(lines, "training.jsonl") for lines in (one, other)]
    for file_id, lines in zip(ids, (one, other), strict=True):
        content = trial.backend.file_content(file_id).removeprefix(b"\xef\xbb\xbf")  # some hosts want the mark
        promise(content.removesuffix(b"\n") == b"\n".join(lines), f"{file_id!r} comes back as {content!r}.")
        if isinstance(trial.backend, StreamsFiles):
            pieces = b"".join(trial.backend.file_pieces(file_id)).removeprefix(b"\xef\xbb\xbf")
            promise(
                pieces == content, f"{file_id!r} comes back in pieces as {pieces!r}, and as a whole as {content!r}."
            )


def a_job_on_bad_data_fails(trial: Trial) -> None:
    """With a reason, at the start or later, and without a model."""
    try:
        spec, started = trial.start(lines=[b'{"neither": "prompt nor messages"}'] * 12)
    except BackendError:
        return
    state = trial.follow(spec, started.id).state
    promise(state.status == "failed", f"a job on rows that are no examples ends as {state.status!r}, not as 'failed'.")
    promise(state.fault is not None and bool(state.fault.message), "a failed job gives no reason in its `fault`.")
    promise(state.fine_tuned_model is None, "a failed job names a fine-tuned model.")


def cancelling_ends_a_job(trial: Trial) -> None:
    """Once, and for good."""
    _, started = trial.start()
    trial.backend.cancel(started.id)
    state = trial.until(started.id, lambda state: state.finished, "cancelled")
    promise(state.status == "cancelled", f"a job that was cancelled at once ends as {state.status!r}.")
    promise(state.finished_at is not None, "a cancelled job has no `finished_at`.")
    again = trial.backend.cancel(started.id)
    promise(again.status == "cancelled", f"cancelling a cancelled job makes it {again.status!r}.")


def a_paused_job_rests_until_it_is_resumed(trial: Trial) -> None:
    """Then it ends as any other; this one learns from conversations, and its model chats."""
    spec, started = trial.start(kind="chat")
    if trial.backend.profile.can_pause:
        _pause_and_resume(trial, started.id)
    else:
        _refused("pause where jobs cannot be paused", lambda: trial.backend.pause(started.id), BackendError)
    run = trial.follow(spec, started.id)
    promise(run.state.status == "succeeded", f"a resumed job ends as {run.state.status!r}: {run.state.fault}.")
    conversations = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    answers = trial.backend.chat(run.model, conversations, Sampling(max_tokens=8))
    promise(len(answers) == len(PROMPTS), f"chat gives {len(answers)} answers to {len(PROMPTS)} conversations.")
    adds_up("rank_chat", trial.backend.rank_chat(run.model, conversations, LABELS), rows=len(PROMPTS))


def _pause_and_resume(trial: Trial, job_id: str) -> None:
    trial.backend.pause(job_id)
    state = trial.until(job_id, lambda state: state.status == "paused", "paused")
    promise(state.status == "paused", f"a job that was paused at once is {state.status!r}.")
    for _ in range(3):
        state = trial.backend.job(job_id)
        promise(state.status == "paused", f"a paused job becomes {state.status!r} by itself.")
    trial.backend.resume(job_id)


CHECKS: tuple[Callable[[Trial], None], ...] = (
    names_are_resolved,
    unknown_models_are_refused,
    unknown_jobs_are_refused,
    unknown_files_are_refused,
    files_come_back,
    a_job_on_bad_data_fails,
    cancelling_ends_a_job,
    a_paused_job_rests_until_it_is_resumed,
)
