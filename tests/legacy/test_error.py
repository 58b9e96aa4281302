"""Everything of ours leaves under an old name, with ours as its cause."""

from __future__ import annotations

import pickle

import pytest

import finetune_kit.legacy as openai
from finetune_kit import errors
from finetune_kit.errors import FinetuneKitError
from finetune_kit.legacy import error as old
from finetune_kit.legacy.error import OpenAIError, old_names, translated

OURS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FinetuneKitError)]
OLD = [kind for kind in vars(old).values() if isinstance(kind, type) and issubclass(kind, OpenAIError)]


@pytest.mark.parametrize("kind", OURS)
def test_each_error_has_an_old_name(kind: type[FinetuneKitError]) -> None:
    with pytest.raises(OpenAIError, match="what, where") as caught, old_names():
        raise kind("what, where, what to do")
    assert type(caught.value.__cause__) is kind
    assert caught.value.user_message == "what, where, what to do"


@pytest.mark.parametrize(
    ("error", "name", "status"),
    [
        (errors.RateLimitError("slow"), "RateLimitError", 429),
        (errors.JobSlotsError("full"), "RateLimitError", 429),
        (errors.QuotaError("empty"), "RateLimitError", 429),
        (errors.AuthenticationError("key"), "AuthenticationError", 401),
        (errors.TrainingNotAvailableError("closed", code="training_not_available"), "PermissionError", 403),
        (errors.HostUnavailableError("gone", sent=False), "APIConnectionError", None),
        (errors.HostUnavailableError("late", status=504), "Timeout", 504),
        (errors.HostUnavailableError("busy", status=503), "ServiceUnavailableError", 503),
        (errors.HostUnavailableError("broken", status=500), "APIError", 500),
        (errors.UnclearOutcomeError("perhaps"), "APIError", None),
        (errors.UnknownModelError("who", model="x"), "InvalidRequestError", 404),
        (errors.ValidationError("bad rows"), "InvalidRequestError", 400),
        (errors.ParameterError("n_epochs=0", parameter="n_epochs"), "InvalidRequestError", 400),
        (errors.MissingExtraError("pip install"), "APIError", None),
    ],
)
def test_old_names_mean_what_they_did(error: FinetuneKitError, name: str, status: int | None) -> None:
    made = translated(error)
    assert (type(made).__name__, made.http_status, made.retryable) == (name, status, error.retryable)


def test_what_the_old_ones_carried_is_there() -> None:
    assert translated(errors.QuotaError("empty")).code == "insufficient_quota"
    assert translated(errors.TrainingNotAvailableError("no", code="training_not_available")).code is not None
    assert translated(errors.ParameterError("n_epochs=0", parameter="n_epochs")).param == "n_epochs"


@pytest.mark.parametrize("kind", OLD)
def test_old_errors_pickle(kind: type[OpenAIError]) -> None:
    error = kind("message", http_status=418, code="teapot")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, "message", vars(error))
    assert str(kind()) == "<empty message>"


def test_they_are_ours_as_well() -> None:
    assert issubclass(openai.OpenAIError, FinetuneKitError)
    assert openai.error.InvalidRequestError is openai.InvalidRequestError
