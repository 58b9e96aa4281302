"""Host profiles say what a model name means, and what there is where it means nothing."""

from __future__ import annotations

import pickle

import pytest

from finetune_kit.errors import ParameterError, UnknownModelError
from finetune_kit.hosts import Resolved, host_profile

LOCAL = host_profile("local")


def test_a_base_model_stands_for_itself() -> None:
    assert LOCAL.resolve("smollm2-135m") == Resolved(requested="smollm2-135m", model="smollm2-135m")


def test_a_stand_in_says_so() -> None:
    resolved = LOCAL.resolve("davinci")
    assert resolved.model == "smollm2-135m"
    assert "'davinci' does not exist on 'local': 'smollm2-135m' stands in for it" in resolved.note


def test_every_alias_of_a_shipped_profile_leads_to_a_model_of_it() -> None:
    assert set(LOCAL.aliases.values()) <= LOCAL.models.keys()
    assert not LOCAL.aliases.keys() & LOCAL.models.keys()


def test_an_unknown_name_is_told_with_what_there_is_and_what_is_near() -> None:
    with pytest.raises(UnknownModelError, match=r"knows no model 'davinvi'\. Did you mean 'davinci'") as raised:
        LOCAL.resolve("davinvi")
    assert {"smollm2-135m", "davinci"} <= set(raised.value.known)
    assert pickle.loads(pickle.dumps(raised.value)).known == raised.value.known


@pytest.mark.parametrize("name", ["nowhere", "", "../local", "local.json"])
def test_an_unknown_host_is_told_with_those_there_are(name: str) -> None:
    with pytest.raises(ParameterError, match="there are local"):
        host_profile(name)
