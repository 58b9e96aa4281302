"""A name on a host: a model, one that was fine-tuned there, a stand-in for what is closed, or the host's affair."""

from __future__ import annotations

from datetime import date

import pytest

from finetune_kit.errors import UnknownModelError
from finetune_kit.hosts import SHIPPED, Resolved, host_profile
from finetune_kit.metering import meter

OPENAI, AZURE = host_profile("openai"), host_profile("azure")
NOVEMBER = date(2026, 11, 24)
STAND_IN = "gpt-4.1-mini-2025-04-14"


@pytest.mark.parametrize("model", ["davinci", "curie", "babbage", "ada"])
def test_a_closed_model_with_a_stand_in_is_told_with_the_price_of_both(model: str) -> None:
    resolved = OPENAI.resolve(model, on=NOVEMBER)
    assert (resolved.model, resolved.base) == (STAND_IN, "")
    assert f"{model!r} takes no training on 'openai' since 2024-01-04" in resolved.note
    assert f"{STAND_IN!r} stands in for it" in resolved.note
    assert "Training costs $5.00 for a million tokens" in resolved.note
    prices = OPENAI.models[model].prices
    assert prices is not None
    assert f"{model!r} cost ${prices.training:,.2f}." in resolved.note


def test_while_it_was_open_a_model_stood_for_itself() -> None:
    assert OPENAI.resolve("davinci", on=date(2023, 6, 1)) == Resolved(requested="davinci", model="davinci")


def test_a_closed_model_without_a_stand_in_stands_for_itself_and_is_refused_later() -> None:
    assert OPENAI.resolve("davinci-002", on=NOVEMBER) == Resolved(requested="davinci-002", model="davinci-002")


def test_a_price_that_is_not_on_file_is_said_to_be_so() -> None:
    note = AZURE.resolve("davinci", on=NOVEMBER).note
    assert note.endswith("stands in for it. What training costs is not on file.")


def test_a_short_name_is_its_dated_version() -> None:
    resolved = OPENAI.resolve("gpt-4.1-mini", on=NOVEMBER)
    assert resolved.model == STAND_IN
    assert resolved.note == f"'gpt-4.1-mini' on 'openai' is {STAND_IN!r}, its dated version."


@pytest.mark.parametrize(
    ("host", "model", "base"),
    [
        ("openai", "ft:gpt-4.1-2025-04-14:acme:shop:9aB", "gpt-4.1-2025-04-14"),
        ("openai", "ft:gpt-4.1-2025-04-14:acme::9aB:ckpt-step-40", "gpt-4.1-2025-04-14"),
        ("azure", "gpt-4.1-2025-04-14.ft-0123abc-shop", "gpt-4.1-2025-04-14"),
        ("azure", "gpt-4.1-2025-04-14.ft-0123abc", "gpt-4.1-2025-04-14"),
        ("local", "ft:smollm2-135m:local::1a2b", "smollm2-135m"),
    ],
)
def test_a_fine_tuned_model_names_its_base_in_its_hosts_way(host: str, model: str, base: str) -> None:
    assert host_profile(host).resolve(model) == Resolved(requested=model, model=model, base=base)


@pytest.mark.parametrize(
    ("host", "model"), [("openai", "ft:gpt-4.1"), ("azure", "ft:gpt-4.1:acme::9aB"), ("openai", "gpt-4.1.ft-0123")]
)
def test_what_only_looks_like_one_is_unknown(host: str, model: str) -> None:
    with pytest.raises(UnknownModelError):
        host_profile(host).resolve(model)


def test_a_host_whose_models_are_not_on_file_decides_itself() -> None:
    decides = {name for name in SHIPPED if host_profile(name).any_model}
    assert decides == {"nebius", "crusoe", "bedrock", "litellm", "generic", "together", "dashscope"}
    for name in decides:
        assert host_profile(name).resolve("org/big-1") == Resolved(requested="org/big-1", model="org/big-1")


def test_tokens_and_costs_of_a_closed_model_stay_its_own() -> None:
    found = meter("davinci", "completion", host="openai")
    assert (found.model, found.notes) == ("davinci", ())
    assert meter("ft:gpt-4.1-mini-2025-04-14:acme::9aB", "chat").model == STAND_IN
