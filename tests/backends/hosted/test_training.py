"""From a split to a job at a real server: what the door of `train` lets through arrives as the host wants it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from finetune_kit import Dataset, FineTuneJob, Split
from finetune_kit._clock import using
from finetune_kit.backends.hosted import HostedBackend
from finetune_kit.classification import measure
from finetune_kit.errors import BackendError, ParameterError
from finetune_kit.testing import HostSimulator
from tests.hosts_of import november
from tests.rows_of import PAIRS

pytestmark = pytest.mark.filterwarnings("ignore::finetune_kit.errors.ShutdownWarning")

MINI = "gpt-4.1-mini-2025-04-14"
SPLIT = Dataset.from_records(PAIRS).split(0.7, stratify=None)
PREFERENCES = Dataset.from_records(
    {"prompt": f"Where is parcel {n}?", "chosen": "On its way.", "rejected": "No idea."} for n in range(20)
).split(0.8)


@pytest.fixture(autouse=True)
def _november() -> Iterator[None]:
    with using(november()):
        yield


@pytest.fixture
def host() -> Iterator[HostSimulator]:
    with HostSimulator() as simulator:
        yield simulator


@pytest.fixture
def backend(host: HostSimulator) -> Iterator[HostedBackend]:
    with HostedBackend(host.api_key, host.base_url) as connected:
        yield connected


def job_at(host: HostSimulator) -> Any:
    """The one job there, as it was asked for."""
    [job] = host.jobs
    return job


def test_the_names_of_2023_train_a_model_of_today_on_conversations(host: HostSimulator, backend: HostedBackend) -> None:
    job = SPLIT.train(backend=backend, suffix="shop", seed=7, metadata={"team": "support"}).wait()
    asked = job_at(host)
    assert (asked["model"], asked["seed"]) == (MINI, 7)
    assert asked["metadata"]["team"] == "support"
    assert asked["method"]["type"] == "supervised"
    [first, *others] = job.events()
    assert f"{MINI!r} stands in for it. Training costs $5.00" in first.message
    assert "each prompt is sent as the user's message" in first.message
    assert not [event for event in others if "stands in" in event.message]
    model = job.model()
    assert model.card.notes
    assert model.complete("Where is parcel 3?") == "track"


def test_a_classification_is_measured_when_it_is_asked_for_and_only_once(
    host: HostSimulator, backend: HostedBackend
) -> None:
    job = SPLIT.train(
        "gpt-4.1-mini",
        backend=backend,
        compute_classification_metrics=True,
        classification_positive_class="refund",
        classification_betas=[2],
    ).wait()
    before = dict(host.counts)
    found = job.results().classification
    assert found is not None
    assert (found.rows, found.accuracy, found.auroc) == (6, 1, 1)
    assert found.f_betas == {2: 1}
    calls = host.counts["POST /chat/completions"] - before.get("POST /chat/completions", 0)
    assert calls == 6
    assert FineTuneJob.attach(job.id, backend).results().classification == found, "also by another process"
    assert host.counts["POST /chat/completions"] == before.get("POST /chat/completions", 0) + calls
    sent = json.dumps(job_at(host))
    assert "classification" not in sent


def test_preferences_are_asked_for_as_such(host: HostSimulator, backend: HostedBackend) -> None:
    PREFERENCES.train("gpt-4.1", backend=backend, method="dpo", beta=0.3, n_epochs=2).wait()
    method = job_at(host)["method"]
    assert method["type"] == "dpo"
    assert method["dpo"]["hyperparameters"].items() >= {"n_epochs": 2, "beta": 0.3}.items()


def test_a_fine_tuned_model_is_trained_further_and_is_no_stand_in(host: HostSimulator, backend: HostedBackend) -> None:
    first = SPLIT.train("gpt-4.1-mini", backend=backend).wait().model()
    more = Dataset.from_records([(f"Is shop {number} open?", "hours") for number in range(10)])
    job = Split(more).train(first.name, backend=backend).wait()
    assert (job.card.base, job.card.requested_model) == (MINI, first.name)
    assert "stands in" not in job.events()[0].message
    assert [job.model().complete(prompt) for prompt in ("Is shop 3 open?", PAIRS[0][0])] == ["hours", "track"]


@pytest.mark.parametrize(
    "settings", [{"n_epochs": 51}, {"prompt_loss_weight": 0.01}, {"suffix": "a b"}, {"metadata": {"ftk_x": "1"}}]
)
def test_what_is_refused_here_never_reaches_the_host(
    host: HostSimulator, backend: HostedBackend, settings: dict[str, Any]
) -> None:
    with pytest.raises(ParameterError):
        SPLIT.train("gpt-4.1-mini", backend=backend, **settings)
    assert not host.requests


def test_a_loss_weight_of_0_is_what_the_host_does(host: HostSimulator, backend: HostedBackend) -> None:
    job = SPLIT.train("gpt-4.1-mini", backend=backend, prompt_loss_weight=0).wait()
    assert "prompt_loss_weight" not in json.dumps(job_at(host))
    assert job.card.hyperparameters.prompt_loss_weight == 0


@pytest.mark.parametrize(
    ("simulated", "name", "model"),
    [
        ("nebius", "nebius", "any/8b"),
        ("crusoe", "crusoe", "any/8b"),
        ("litellm", "litellm", "gpt-4.1"),
        ("generic", "generic", "any/8b"),
        ("bare", "generic", "any/8b"),
    ],
)
def test_every_host_trains_tells_and_answers(simulated: str, name: str, model: str) -> None:
    with (
        HostSimulator(host=simulated, models=[model]) as host,
        HostedBackend(host.api_key, host.base_url, host=name) as backend,
    ):
        job = SPLIT.train(
            model,
            backend=backend,
            suffix="shop",
            compute_classification_metrics=True,
            classification_positive_class="track",
        ).wait()
        assert job_at(host)["model"] == model
        assert (job.card.template is None) == (name != "nebius"), "the card is that of this host's job"
        found = job.results().classification
        assert found is not None
        assert found.accuracy == 1
        events = job.events()
        assert ("user's message" in events[0].message if events else True) == (name != "nebius")
        assert list(job.follow()) == events
        assert isinstance(job.checkpoints(), list)
        assert job.model().complete("Where is parcel 3?") == "track"


def test_at_azure_a_model_is_measured_under_the_name_of_its_deployment() -> None:
    with HostSimulator(host="azure") as host, HostedBackend(host.api_key, host.base_url, host="azure") as backend:
        job = SPLIT.train(
            "gpt-4o", backend=backend, compute_classification_metrics=True, classification_positive_class="track"
        ).wait()
        results = job.results()
        with pytest.raises(BackendError, match=r"only when it is deployed, .* deployment=NAME"):
            _ = results.classification
        assert job.state.fine_tuned_model is not None
        host.deploy(job.state.fine_tuned_model, name="shop")
        found = measure(backend, job.state, job.card, deployment="shop")
        assert found.accuracy == 1
        assert results.classification == found
