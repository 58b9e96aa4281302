"""Which rules run by default, and what host and model change about them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.dataset import Dataset, Split
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import file_rules
from finetune_kit.records import CompletionExample
from finetune_kit.rows import Batch
from finetune_kit.validators import DEFAULT, ESSENTIAL, AnyValidator, default_rules, essential_rules, validate
from tests.rows_of import PAIRS, completions, many, rows_of


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


@pytest.mark.parametrize("rule", default_rules("azure", model="davinci"), ids=lambda rule: rule.code)
def test_every_rule_shows_a_bad_and_a_good_example(rule: AnyValidator) -> None:
    words = type(rule).__doc__ or ""
    assert "Bad:" in words
    assert "Good:" in words


def test_what_is_said_of_a_set_as_a_whole_is_said_of_the_training_set() -> None:
    """Two held-out rows are no reason to warn of few examples or of labels with one row."""
    alone = Dataset.from_records(PAIRS)
    split = Split(alone, Dataset.from_records([("Where is it?", "track"), ("I want my money", "refund")]))
    assert split.validate().counts == alone.validate().counts


def test_held_out_rows_are_checked_one_by_one_all_the_same() -> None:
    split = Split(Dataset.from_records(PAIRS), Dataset.from_records([("Where is it?", " ")]))
    assert split.validate().counts["empty_completion"] == 1


TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('\n ->#:\\"\u3000'), max_size=30)
METADATA = st.dictionaries(TEXTS, st.none() | st.integers() | TEXTS | st.lists(TEXTS, max_size=2), max_size=3)


@given(st.lists(st.builds(CompletionExample, TEXTS, TEXTS, METADATA), max_size=20))
def test_no_rule_raises_whatever_the_texts_are(examples: list[CompletionExample]) -> None:
    report = validate(rows_of(examples), default_rules("azure", model="davinci"))
    assert "validator_failed" not in report.counts


def test_texts_of_a_megabyte_are_checked_like_any_others() -> None:
    long = "Where is my parcel? " * 50_000
    report = validate(completions(*((f"{long}{number} ->", f"{long}{number} END") for number in range(12))), DEFAULT)
    assert "validator_failed" not in report.counts
    assert report.counts["prepared"] == 1
