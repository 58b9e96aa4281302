"""What came of a job that has succeeded: its results, its best checkpoint, its model."""

from __future__ import annotations

from functools import cache, partial

from finetune_kit._retry import QUESTIONS
from finetune_kit.backends import Backend, JobState
from finetune_kit.choosing import BestCheckpoint, best_of, final_checkpoint
from finetune_kit.classification import Classification, measure
from finetune_kit.client import ModelClient
from finetune_kit.errors import BackendError, FormatError
from finetune_kit.keeping import content
from finetune_kit.results import Results


def results_of(backend: Backend, state: JobState) -> Results:
    """The first of its result files that is one; from this machine's disk where the host has deleted it."""
    if not state.result_files:
        raise BackendError(f"{state.id} has succeeded, but the backend names no result file.")
    trouble: FormatError | None = None
    for file_id in state.result_files:
        try:
            read = QUESTIONS.call(partial(content, backend, state, file_id))
            found = Results.parse(read, columns=backend.profile.result_columns)
        except FormatError as error:
            trouble = trouble or error
            continue
        return Results(found.metrics, found.classification_rows, cache(lambda: _classification(backend, state)))
    raise trouble or FormatError(f"{state.id} has no result file that can be read.")


def _classification(backend: Backend, state: JobState) -> Classification | None:
    card = QUESTIONS.call(lambda: backend.card(state.fine_tuned_model or ""))
    return None if card.classification is None else measure(backend, state, card)


def best_checkpoint_of(backend: Backend, state: JobState, name: str) -> BestCheckpoint:
    """Among its checkpoints and the final model, whose name is `name`."""
    kept = QUESTIONS.call(lambda: backend.checkpoints(state.id)) if backend.profile.has_checkpoints else []
    try:
        results = results_of(backend, state)
    except (BackendError, FormatError):
        results = None
    candidates = kept if any(one.name == name for one in kept) else [*kept, final_checkpoint(state, name, results)]
    return best_of(candidates)


def model_of(backend: Backend, name: str, deployment: str | None) -> ModelClient:
    """The model under its own name, or under that of its deployment where the host wants one."""
    if deployment is not None:
        return ModelClient(deployment, backend, card=QUESTIONS.call(lambda: backend.card(name)))
    if backend.profile.needs_deployment:
        if backend.profile.how_to_deploy:
            raise BackendError(
                f"{name} answers on {backend.profile.name!r} only when it is deployed. "
                f"{backend.profile.how_to_deploy.replace('MODEL', name)}"
            )
        raise BackendError(
            f"{name} answers on {backend.profile.name!r} only when it is deployed. Deploy it in the host's portal, or "
            f"with `az cognitiveservices account deployment create --name RESOURCE --resource-group GROUP "
            f"--deployment-name NAME --model-name {name} --model-version 1 --model-format OpenAI --sku-name Standard "
            "--sku-capacity 1`, then pass model(deployment=NAME). A deployment is billed by the hour: delete it when "
            "you are done."
        )
    return ModelClient(name, backend)
