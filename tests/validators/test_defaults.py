"""Which rules run by default, and what host and model change about them."""

from __future__ import annotations

import pytest

from finetune_kit.dataset import Dataset
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import file_rules
from finetune_kit.rows import Batch
from finetune_kit.validators import DEFAULT, ESSENTIAL, default_rules, essential_rules
from tests.rows_of import PAIRS, many


def test_every_rule_has_a_code_of_its_own() -> None:
    codes = [rule.code for rule in DEFAULT]
    assert len(codes) == len(set(codes))


def test_the_essential_rules_are_the_first_of_the_default_ones() -> None:
    assert DEFAULT[: len(ESSENTIAL)] == ESSENTIAL


def test_a_host_asks_for_its_own_number_of_examples() -> None:
    strict = file_rules("openai").model_copy(update={"min_examples": 500})
    report = Dataset.from_records(PAIRS).validate(essential_rules(strict))
    assert [issue.message for issue in report.errors] == [
        "at least 500 examples are needed for training, and there are only 20"
    ]


def test_a_host_is_named_by_its_profile_or_by_its_name() -> None:
    assert default_rules(file_rules("azure")) == default_rules("azure")


@pytest.mark.parametrize("host", ["openai", "azure", "local"])
def test_good_data_has_no_errors_on_any_host(host: str) -> None:
    data = Dataset.from_records(PAIRS)
    assert data.validate(host=host).ok
    assert data.split(0.8).validate(host=host).ok


def test_an_unknown_host_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match="openai, azure"):
        Dataset.from_records(PAIRS).validate(host="opnai")


def test_what_several_rules_ask_of_a_batch_is_made_once() -> None:
    made: list[int] = []

    def lengths(batch: Batch) -> list[int]:
        made.append(batch.start)
        return [len(record) for record in batch.digests]

    [batch] = many(3).batches()
    assert batch.view(lengths) is batch.view(lengths)
    assert made == [0]
