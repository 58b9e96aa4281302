"""The door of `train` by host: what is refused with what to do, what is let through, and as what it is sent."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit import Dataset, Split
from finetune_kit._clock import using
from finetune_kit.cards import ModelCard
from finetune_kit.errors import (
    BudgetError,
    FileTooLargeError,
    FinetuneKitError,
    ModelClosedError,
    ParameterError,
    ShutdownWarning,
    UnknownModelError,
)
from tests.hosts_of import LikeHost, november
from tests.rows_of import PAIRS

pytestmark = pytest.mark.filterwarnings("ignore::finetune_kit.errors.ShutdownWarning")

MINI = "gpt-4.1-mini-2025-04-14"
SPLIT = Dataset.from_records(PAIRS).split(0.8)
CHATS = Dataset.from_records(
    {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": label}]}
    for prompt, label in PAIRS
).split(0.8)
PREFERENCES = Dataset.from_records(
    {"prompt": f"Where is parcel {n}?", "chosen": "On its way.", "rejected": "No idea."} for n in range(20)
).split(0.8)
FOUR = Dataset.from_records(
    [
        (f"{word} parcel {n}?", label)
        for label, word in zip("abcd", ["who", "what", "where", "when"], strict=True)
        for n in range(8)
    ]
).split(0.75, stratify=None)


@pytest.fixture(autouse=True)
def _november() -> Iterator[None]:
    with using(november()):
        yield


def refused(backend: LikeHost, message: str, parameter: str | None, split: Split = SPLIT, **settings: Any) -> str:
    """`train` raises, with nothing uploaded and nothing started."""
    with pytest.raises(ParameterError, match=message) as raised:
        split.train(settings.pop("model", MINI), backend=backend, **settings)
    assert raised.value.parameter == parameter
    assert backend.untouched
    return str(raised.value)


# ranges, by host


@pytest.mark.parametrize(
    ("host", "settings", "message"),
    [
        ("openai", {"n_epochs": 51}, "n_epochs=51: give a whole number from 1 to 50"),
        ("openai", {"n_epochs": 0}, "n_epochs=0"),
        ("openai", {"n_epochs": "auto"}, "n_epochs='auto'"),
        ("openai", {"batch_size": 257}, "batch_size=257: give a whole number from 1 to 256"),
        ("openai", {"learning_rate_multiplier": 0}, "nothing would be learned"),
        ("openai", {"learning_rate_multiplier": float("inf")}, "learning_rate_multiplier=inf"),
        ("openai", {"suffix": "a" * 65}, "give 1 to 64 letters from A to z"),
        ("openai", {"suffix": "über"}, "suffix='über': give 1 to 64 letters from A to z, digits"),
        ("openai", {"suffix": "a.b"}, r"suffix='a\.b'"),
        ("openai", {"suffix": ""}, "suffix=''"),
        ("azure", {"suffix": "a" * 19}, "give 1 to 18 letters"),
        ("openai", {"seed": 2**31}, "seed=2147483648: give a whole number from 0 to 2147483647"),
        ("openai", {"seed": -1}, "seed=-1"),
        ("openai", {"seed": True}, "seed=True"),
        ("openai", {"check_if_files_exist": "no"}, "check_if_files_exist='no': give True or False"),
        ("openai", {"check_if_files_exist": None}, "check_if_files_exist=None"),
        ("openai", {"metadata": ["a"]}, "metadata is list, not a dict of text to text"),
        ("openai", {"metadata": {"a": 5}}, r"metadata\['a'\] is int, not text"),
        ("openai", {"metadata": {5: "a"}}, "a key of metadata is int, not text"),
        ("openai", {"metadata": {"": "a"}}, "a key of metadata is empty"),
        ("openai", {"metadata": {"k" * 65: "a"}}, "a key of metadata has 65 characters. Give at most 64"),
        ("openai", {"metadata": {"k": "a" * 513}}, r"metadata\['k'\] has 513 characters. Give at most 512"),
        ("openai", {"metadata": {"ftk_token": "x"}}, r"metadata\['ftk_token'\]: keys that begin with 'ftk_'"),
        ("openai", {"metadata": dict.fromkeys(map(str, range(15)), "")}, "metadata has 15 pairs: .* Give at most 14"),
        ("azure", {"metadata": {"k": "v"}}, "metadata: 'azure' is not known to keep any with a job .* Leave it out"),
        ("openai", {"budget": -1}, "budget=-1"),
        ("openai", {"method": "sft"}, "method='sft' is not known; there are 'supervised', 'dpo', 'reinforcement'"),
        ("openai", {"method": None}, "method is NoneType, not text"),
    ],
)
def test_what_a_host_would_refuse_is_refused_before_the_upload(host: str, settings: Any, message: str) -> None:
    refused(LikeHost(host), message, next(iter(settings)), **settings)


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        ("openai", {"n_epochs": 50, "batch_size": 256, "learning_rate_multiplier": 1e-9}),
        ("openai", {"suffix": "a" * 64, "seed": 2**31 - 1}),
        ("openai", {"metadata": dict.fromkeys(("k" * 63 + str(n % 10) for n in range(10)), "v" * 512)}),
        ("openai", {"metadata": dict.fromkeys(map(str, range(14)), "")}),
        ("openai", {"metadata": {}, "check_if_files_exist": False, "budget": 1000}),
        ("azure", {"suffix": "a" * 18, "n_epochs": 51, "metadata": {}}),
        ("generic", {"batch_size": 1000, "suffix": "A-b_1"}),
    ],
)
def test_what_a_host_takes_is_let_through(host: str, settings: Any) -> None:
    backend = LikeHost(host)
    SPLIT.train(MINI, backend=backend, **settings)
    [spec] = backend.specs
    assert spec.seed == settings.get("seed", 0)
    assert spec.suffix == settings.get("suffix")
    assert spec.metadata == settings.get("metadata", {})


def test_a_learning_rate_that_is_absolute_is_not_mistaken_for_a_multiplier() -> None:
    said = refused(
        LikeHost("nebius"), "learning_rate_multiplier=0.1", "learning_rate_multiplier", learning_rate_multiplier=0.1
    )
    assert "give a number from 0 to 0.01: 'nebius' takes it as the learning rate itself, of which 2e-5 is usual" in said
    SPLIT.train("any/8b", backend=(backend := LikeHost("nebius")), learning_rate_multiplier=2e-5)
    assert backend.specs[0].hyperparameters.learning_rate_multiplier == 2e-5


# methods


@pytest.mark.parametrize("beta", [0, -0.1, 2.1, float("nan"), "a", True])
def test_beta_has_its_range(beta: Any) -> None:
    refused(LikeHost("openai"), f"beta={re.escape(repr(beta))}", "beta", PREFERENCES, method="dpo", beta=beta)


@pytest.mark.parametrize("beta", [None, 1e-6, 0.1, 2])
def test_preference_pairs_are_trained_on_by_dpo(beta: float | None) -> None:
    job = PREFERENCES.train(MINI, backend=(backend := LikeHost("openai")), method="dpo", beta=beta)
    [spec] = backend.specs
    assert (spec.method, spec.hyperparameters.beta) == ("dpo", beta)
    assert backend.uploads[0][0].keys() == {"input", "preferred_output", "non_preferred_output"}
    card = job.wait().card
    assert (card.method, card.kind, card.template) == ("dpo", "preference", None)
    assert job.model().complete("Where is parcel 3?") == "On its way."


@pytest.mark.parametrize(
    ("host", "model", "split", "settings", "message"),
    [
        ("openai", MINI, SPLIT, {"beta": 0.1}, 'beta=0.1 belongs to .*: pass method="dpo" with it'),
        (
            "openai",
            MINI,
            SPLIT,
            {"method": "dpo"},
            "method='dpo' learns from preference pairs, and these are completion",
        ),
        ("openai", MINI, CHATS, {"method": "dpo"}, "these are chat examples. Leave method out"),
        ("openai", MINI, PREFERENCES, {}, r'Pass method="dpo" where .* data\.to_chat\(\)'),
        ("openai", MINI, CHATS, {"method": "reinforcement"}, "needs a grader that scores each answer"),
        (
            "nebius",
            "any/8b",
            PREFERENCES,
            {"method": "dpo"},
            r"'nebius' offers 'supervised' alone .*\(data\.to_chat\(\)\)",
        ),
        ("bedrock", "any/8b", CHATS, {}, "method='supervised': 'bedrock' offers 'reinforcement' alone"),
        (
            *("openai", "gpt-4o-mini", PREFERENCES, {"method": "dpo"}),
            "gpt-4o-mini-2024-07-18 on 'openai' learns by 'supervised' alone .*: gpt-4.1-2025-04-14, gpt-4.1-mini",
        ),
        ("azure", "gpt-5", CHATS, {}, "gpt-5 on 'azure' learns by 'reinforcement' alone"),
    ],
)
def test_a_method_fits_host_model_and_data(host: str, model: str, split: Split, settings: Any, message: str) -> None:
    parameter = "beta" if "beta" in settings else "method"
    refused(LikeHost(host), message, parameter, split, model=model, **settings)


def test_questions_of_preference_pairs_have_no_loss_weight() -> None:
    message = "prompt_loss_weight=0.5: of preference pairs the answers alone count"
    refused(LikeHost("local"), message, "prompt_loss_weight", PREFERENCES, method="dpo", prompt_loss_weight=0.5)


def test_conversations_are_not_for_a_model_that_only_completes() -> None:
    profile = LikeHost("openai").profile
    old = profile.models["davinci-002"].model_copy(update={"training_ends": None, "shuts_down": None})
    backend = LikeHost("openai", models={"davinci-002": old})
    said = refused(
        backend, "davinci-002 on 'openai' learns from completion examples", "model", CHATS, model="davinci-002"
    )
    assert "data.to_completion()" in said
    job = SPLIT.train("davinci-002", backend=backend)
    assert job.wait().card.template is not None


# prompts and completions as conversations


@pytest.mark.parametrize(
    ("host", "model"), [("openai", MINI), ("azure", "gpt-4o"), ("crusoe", "any"), ("generic", "any")]
)
def test_prompts_and_completions_are_sent_as_conversations_where_models_take_no_others(host: str, model: str) -> None:
    backend = LikeHost(host)
    SPLIT.train(model, backend=backend)
    first = SPLIT.training[0].content()
    assert backend.uploads[0][0] == {
        "messages": [
            {"role": "user", "content": first["prompt"]},
            {"role": "assistant", "content": first["completion"]},
        ]
    }
    assert backend.raw[0].startswith(b"\xef\xbb\xbf") == (host == "azure")
    card = backend.specs[0].card
    assert (card.kind, card.template, card.labels) == ("chat", None, ("refund", "track"))


def test_that_they_were_is_told_in_the_first_event_the_card_and_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "finetune_kit")
    job = SPLIT.train("gpt-4.1-mini", backend=LikeHost("openai")).wait()
    told = f"{MINI} takes conversations alone: each prompt is sent as the user's message"
    assert told in job.events()[0].message
    assert [note for note in job.card.notes if told in note]
    assert told in caplog.text
    assert job.model().complete(PAIRS[0][0]) == "track", "and is called with a message of the user's"
    assert job.model().classify(PAIRS[19][0]).label == "refund"


def test_where_nothing_is_changed_there_is_nothing_to_tell() -> None:
    job = CHATS.train(MINI, backend=LikeHost("openai")).wait()
    assert job.card.notes == ()
    assert "conversations alone" not in job.events()[0].message


def test_a_host_that_takes_both_gets_prompts_and_completions() -> None:
    SPLIT.train("any/8b", backend=(backend := LikeHost("nebius")))
    assert backend.uploads[0][0].keys() == {"prompt", "completion"}
    assert backend.specs[0].card.template is not None


# models that are closed, or were fine-tuned before


@pytest.mark.parametrize("model", ["curie", "davinci", "babbage", "ada"])
def test_the_names_of_2023_have_a_stand_in_that_is_told_with_both_prices(model: str) -> None:
    backend = LikeHost("openai")
    with pytest.warns(ShutdownWarning, match=MINI):
        job = SPLIT.train(model, backend=backend)
    assert f"{MINI!r} stands in for it. Training costs $5.00" in job.events()[0].message
    card = job.wait().card
    assert (card.base, card.requested_model) == (MINI, model)
    assert f"{MINI!r} stands in for it" in card.notes[0]


def test_the_budget_is_that_of_the_stand_in() -> None:
    backend = LikeHost("openai")
    with pytest.raises(BudgetError, match=MINI):
        SPLIT.train("davinci", backend=backend, budget=0.000_001)
    assert backend.untouched


def test_a_closed_model_without_a_stand_in_is_refused() -> None:
    backend = LikeHost("openai")
    with pytest.raises(ModelClosedError, match="davinci-002"):
        SPLIT.train("davinci-002", backend=backend)
    assert backend.untouched


def test_a_model_can_be_trained_further_whatever_its_name_looks_like() -> None:
    backend = LikeHost("azure", fine_tuned_pattern=None)
    first = CHATS.train("gpt-4o", backend=backend, suffix="one").wait()
    name = first.state.fine_tuned_model
    assert name is not None
    second = SPLIT.train(name, backend=backend).wait()
    assert backend.specs[1].model.model == name
    assert (second.card.base, second.card.requested_model, second.card.kind) == ("gpt-4o-2024-08-06", name, "chat")


def test_preferences_follow_on_conversations() -> None:
    backend = LikeHost("openai")
    name = SPLIT.train(MINI, backend=backend).wait().model().name
    job = PREFERENCES.train(name, backend=backend, method="dpo").wait()
    assert job.card.base == MINI
    assert CHATS.train(job.model().name, backend=backend).wait().status == "succeeded"


def test_a_model_whose_papers_are_elsewhere_is_trained_further_on_conversations() -> None:
    class Elsewhere(LikeHost):
        def card(self, model: str) -> ModelCard:
            raise UnknownModelError("no card of it", model=model)

    name = f"ft:{MINI}:acme:shop:9aB"
    SPLIT.train(name, backend=(backend := Elsewhere("openai")))
    assert (backend.specs[0].model.model, backend.specs[0].card.base) == (name, MINI)
    with pytest.raises(UnknownModelError, match="no card of it"):
        SPLIT.train("ft:smollm2-135m:local::1a", backend=Elsewhere("local"))


# the size of a file


@pytest.mark.parametrize("changes", [{"max_file_bytes": 1_500}, {"max_file_bytes": 10, "max_upload_bytes": 1_500}])
@pytest.mark.parametrize("host", ["nebius", "azure"])
def test_a_file_that_the_host_does_not_take_is_refused_before_the_other_one_is_sent(host: str, changes: Any) -> None:
    split = Split(Dataset.from_records(PAIRS[:10]), Dataset.from_records([*PAIRS[10:14], ("a" * 1_500, "b")]))
    backend = LikeHost(host, **changes)
    with pytest.raises(
        FileTooLargeError, match=f"the validation set would take .* and {host!r} takes at most 1,500"
    ) as one:
        split.train("any/8b" if host == "nebius" else "gpt-4o", backend=backend)
    assert backend.untouched
    assert one.value.rows_that_fit == 4
    assert one.value.size_bytes is not None
    assert one.value.size_bytes > 1_500 == one.value.max_bytes
    bigger = LikeHost(host, **{**changes, next(reversed(changes)): one.value.size_bytes})
    split.train("any/8b" if host == "nebius" else "gpt-4o", backend=bigger)


# whatever is passed

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.floats(),
    st.text(st.characters(), max_size=70),
    st.binary(max_size=3),
    st.lists(st.one_of(st.text(max_size=3), st.floats(), st.none()), max_size=3),
    st.dictionaries(
        st.one_of(st.text(st.characters(), max_size=3), st.integers()), st.text(st.characters(), max_size=3), max_size=2
    ),
    st.just(object),
    st.builds(lambda: (one for one in (1, "a"))),
    st.builds(lambda: np.array([0.5, 2])),
    st.builds(lambda: np.float64("nan")),
)
PARAMETERS = sorted(inspect.signature(Split.train).parameters.keys() - {"self", "backend"})


@given(data=st.data(), host=st.sampled_from(["openai", "azure", "nebius", "local", "generic"]))
@settings(max_examples=400)
def test_whatever_is_passed_is_let_through_or_refused_in_plain_words(data: st.DataObject, host: str) -> None:
    names = data.draw(st.lists(st.sampled_from(PARAMETERS), min_size=1, max_size=3, unique=True))
    given_: dict[str, Any] = {name: data.draw(JUNK, label=name) for name in names}
    backend = LikeHost(host)
    try:
        SPLIT.train(given_.pop("model", "davinci" if host != "nebius" else "any"), backend=backend, **given_)
    except FinetuneKitError as error:
        told = str(error)
        assert backend.untouched
        assert 0 < len(told.encode()) < 2_000
    else:
        assert len(backend.specs) == 1


# what hosts have no longer


@pytest.mark.parametrize("split", [SPLIT, CHATS])
def test_a_loss_weight_that_says_what_the_host_does_is_taken_and_not_sent(split: Split) -> None:
    job = split.train(MINI, backend=(backend := LikeHost("openai")), prompt_loss_weight=0)
    assert backend.specs[0].hyperparameters.prompt_loss_weight is None
    assert backend.specs[0].card.hyperparameters.prompt_loss_weight == 0
    assert job.wait().status == "succeeded"


@pytest.mark.parametrize(
    ("host", "weight", "message"),
    [
        ("openai", 0.01, "prompt_loss_weight=0.01: 'openai' trains on what the assistant says and on nothing else"),
        ("nebius", 0, "prompt_loss_weight=0: 'nebius' has no such setting, and how it weighs prompts is not known"),
        ("openai", 1.1, "prompt_loss_weight=1.1: give a number from 0 to 1"),
    ],
)
def test_another_loss_weight_is_refused_with_the_reason(host: str, weight: float, message: str) -> None:
    refused(LikeHost(host), message, "prompt_loss_weight", prompt_loss_weight=weight)


def test_a_host_that_has_the_loss_weight_gets_it() -> None:
    SPLIT.train("davinci", backend=(backend := LikeHost("local")), prompt_loss_weight=0.5)
    assert backend.specs[0].hyperparameters.prompt_loss_weight == 0.5


# classification metrics


def test_two_classes_are_measured_by_the_positive_one() -> None:
    job = SPLIT.train(
        MINI,
        backend=LikeHost("openai"),
        compute_classification_metrics=True,
        classification_positive_class="refund",
        classification_betas=[0.5, 2, 2],
    ).wait()
    settings = job.card.classification
    assert settings is not None
    assert (settings.n_classes, settings.positive_class, settings.betas) == (2, "refund", (0.5, 2.0))


@pytest.mark.parametrize("split", [FOUR, Split(FOUR.training.to_chat(), FOUR.validation and FOUR.validation.to_chat())])
def test_several_classes_are_counted(split: Split) -> None:
    backend = LikeHost("openai")
    split.train(MINI, backend=backend, compute_classification_metrics=True, classification_n_classes=4)
    card = backend.specs[0].card
    assert card.classification is not None
    assert card.classification.n_classes == 4
    assert card.labels == ("a", "b", "c", "d"), "the labels of conversations, too"


COMPUTE: dict[str, Any] = {"compute_classification_metrics": True}


@pytest.mark.parametrize(
    ("split", "settings", "parameter", "message"),
    [
        (
            SPLIT,
            {},
            "positive_class",
            "this set has 2 labels, 'refund', 'track': pass .* classification_positive_class=",
        ),
        (SPLIT, {"n_classes": 3}, "n_classes", "classification_n_classes=3: this set has 2 labels"),
        (SPLIT, {"n_classes": 1}, "n_classes", "classification_n_classes=1: give a whole number of at least 2"),
        (SPLIT, {"positive_class": "Track"}, "positive_class", "'Track' is no label of this set. Pass one of 'refund'"),
        (SPLIT, {"positive_class": 5}, "positive_class", "classification_positive_class is int, not text"),
        (
            SPLIT,
            {"positive_class": "track", "betas": [0]},
            "betas",
            r"classification_betas\[0\]=0: give a number above 0",
        ),
        (SPLIT, {"positive_class": "track", "betas": [1, "a"]}, "betas", r"classification_betas\[1\]='a'"),
        (SPLIT, {"positive_class": "track", "betas": 2}, "betas", "classification_betas=2: give a list of numbers"),
        (SPLIT, {"positive_class": "track", "betas": [float("nan")]}, "betas", r"classification_betas\[0\]=nan"),
        (FOUR, {}, "n_classes", "this set has 4 labels, 'a', 'b', 'c', 'd': pass classification_n_classes=4"),
        (
            FOUR,
            {"n_classes": 3},
            "n_classes",
            "n_classes=3, but this set has 4 labels, .* pass classification_n_classes=4",
        ),
        (FOUR, {"positive_class": "a"}, "positive_class", "'a' is for two classes; this set has 4 labels"),
        (
            FOUR,
            {"n_classes": 4, "betas": [2]},
            "betas",
            "betas are for two classes; this set has 4 labels, .*leave them out",
        ),
    ],
)
def test_classes_are_told_as_the_data_have_them(split: Split, settings: Any, parameter: str, message: str) -> None:
    given: dict[str, Any] = {f"classification_{name}": value for name, value in settings.items()}
    refused(LikeHost("openai"), message, f"classification_{parameter}", split, **COMPUTE, **given)


@pytest.mark.parametrize(
    ("split", "settings", "message"),
    [
        (Split(Dataset.from_records(PAIRS)), COMPUTE, r"needs a validation set to measure on: split the data"),
        (PREFERENCES, {**COMPUTE, "method": "dpo"}, "a model that learns by 'dpo' gives no labels"),
        (SPLIT, {"compute_classification_metrics": 1}, "compute_classification_metrics=1: give True or False"),
        (
            Split(Dataset.from_records([(f"q{n}", "a") for n in range(12)]), Dataset.from_records([("r", "a")])),
            COMPUTE,
            "the training set has one label, 'a': there is nothing to tell apart",
        ),
        (
            Split(
                Dataset.from_records(
                    {
                        "messages": [
                            {"role": "user", "content": f"{n}?"},
                            {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
                        ]
                    }
                    for n in range(12)
                ),
                CHATS.validation,
            ),
            COMPUTE,
            "training row 1 does not end with the assistant saying a label",
        ),
    ],
)
def test_what_is_no_classification_is_not_measured(split: Split, settings: Any, message: str) -> None:
    refused(LikeHost("openai"), message, "compute_classification_metrics", split, **settings)


@pytest.mark.parametrize("name", ["n_classes", "positive_class", "betas"])
def test_settings_without_effect_are_refused(name: str) -> None:
    message = "has no effect without compute_classification_metrics=True. Pass both, or neither"
    refused(LikeHost("openai"), message, f"classification_{name}", **dict[str, Any]({f"classification_{name}": "a"}))


def test_a_label_that_only_the_validation_set_has_counts_as_a_class() -> None:
    assert SPLIT.validation is not None
    split = Split(SPLIT.training, SPLIT.validation.concat(Dataset.from_records([("Who are you?", "person")])))
    message = "this set has 3 labels, 'person', 'refund', 'track': pass classification_n_classes=3"
    refused(LikeHost("openai"), message, "classification_n_classes", split, **COMPUTE)
    backend = LikeHost("openai")
    split.train(MINI, backend=backend, **COMPUTE, classification_n_classes=3)
    assert backend.specs[0].card.labels == ("refund", "track"), "what was not learned is no choice"


def test_faults_in_the_data_are_told_before_its_classes() -> None:
    split = Split(Dataset.from_records([*PAIRS, ("x", " ")]), SPLIT.validation)
    backend = LikeHost("openai")
    with pytest.raises(FinetuneKitError, match="empty_completion"):
        split.train(MINI, backend=backend, **COMPUTE)
    assert backend.untouched
