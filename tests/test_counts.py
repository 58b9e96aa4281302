"""Token counts of a data set: in full where it is small, by a sample whose interval holds where it is large."""

from __future__ import annotations

import random
from typing import Any

import pytest

from finetune_kit import Dataset, counts
from finetune_kit.counts import Interval, count_tokens
from finetune_kit.errors import ParameterError, UnknownModelError
from finetune_kit.records import CompletionExample
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import Estimate, HostedTokens
from tests.rows_of import PAIRS, completions
from tests.tokens.words import Words

WORDS = HostedTokens(Words())
TEMPLATE = PromptTemplate(separator=" ->", stop=" END", leading_space=True)


def some_texts(size: int, *, seed: int = 1) -> list[tuple[str, str]]:
    """Texts of very different lengths."""
    chance = random.Random(seed)
    return [
        (f"row {number} " + "word " * int(chance.paretovariate(1.5)), "answer " * chance.randint(1, 30))
        for number in range(size)
    ]


@pytest.fixture
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "_SAMPLE", 400)
    monkeypatch.setattr(counts, "_LARGEST", 32)


def test_a_small_set_is_counted_in_full_with_its_template() -> None:
    found = count_tokens(completions(("a b", "c")), WORDS, host="h", model="m", template=TEMPLATE)
    assert (found.exact, found.counted_rows, found.rows) == (True, 1, 1)
    assert found.total == Interval(5, 5, 5), "a b -> c END"
    assert found.trained == Interval(2, 2, 2)
    assert (found.mean, found.max, found.percentiles[50]) == (5.0, 5, 5)


def test_a_row_that_ends_with_the_separator_already_is_counted_all_the_same() -> None:
    assert count_tokens(completions(("a ->", "c")), WORDS, host="h", model="m", template=TEMPLATE).total.value == 5


def test_an_empty_set_has_no_tokens() -> None:
    found = count_tokens(completions(), WORDS, host="h", model="m", limit=5)
    assert (found.total.value, found.mean, found.max, found.percentiles, found.over_limit) == (0, 0.0, 0, {}, 0)


@pytest.mark.usefixtures("small_samples")
def test_intervals_of_samples_hold_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """60 samples: at 95 %, fewer than 51 hits has a probability of about one in 400."""
    rows = completions(*some_texts(3_000))
    truth = count_tokens(rows, WORDS, host="h", model="m", how="exact")
    assert truth.total.certain
    hits = 0
    for seed in range(60):
        monkeypatch.setattr(counts, "_SEED", seed)
        found = count_tokens(rows, WORDS, host="h", model="m", how="sample")
        assert not found.exact
        assert found.counted_rows == 432
        hits += found.trained.low <= truth.trained.value <= found.trained.high
    assert hits >= 51


@pytest.mark.usefixtures("small_samples")
def test_a_sample_is_the_same_in_every_run_and_holds_the_longest_example() -> None:
    rows = completions(*some_texts(2_000))
    one, other = (count_tokens(rows, WORDS, host="h", model="m", how="sample") for _ in range(2))
    assert one == other
    assert one.max == count_tokens(rows, WORDS, host="h", model="m", how="exact").max


@pytest.mark.usefixtures("small_samples")
def test_examples_over_the_limit_are_all_found_even_by_a_sample() -> None:
    pairs = [*some_texts(1_000), *(("w " * 300, f"{number}") for number in range(500))]
    rows = completions(*pairs)
    found = count_tokens(rows, WORDS, host="h", model="m", limit=299, how="sample")
    assert found.counted_rows < len(rows)
    assert found.over_limit == count_tokens(rows, WORDS, host="h", model="m", limit=299, how="exact").over_limit
    assert found.over_limit is not None
    assert found.over_limit >= 500


def test_an_estimate_says_so_and_does_not_judge_a_limit_it_cannot_know() -> None:
    tokens = HostedTokens(Estimate("r50k_base"))
    rows = completions(("Where is my parcel? " * 20, "here"))
    found = count_tokens(rows, tokens, host="h", model="m", limit=50)
    assert not found.exact
    assert found.over_limit is None
    assert found.total.low < found.total.value < found.total.high
    assert "the truth is 0.75 to 1.30 times the estimate" in str(found)
    assert count_tokens(rows, tokens, host="h", model="m", limit=5_000).over_limit == 0, "more tokens than bytes? never"


def test_an_estimate_is_never_more_than_the_bytes() -> None:
    rows = completions(("1" * 9, "2"))
    found = count_tokens(rows, HostedTokens(Estimate(None)), host="h", model="m")
    assert found.total.high <= len(CompletionExample("1" * 9, "2").content()) + sum(rows.content_lengths())


def test_what_is_asked_for_by_another_word_is_refused() -> None:
    how: Any = "all"
    with pytest.raises(ParameterError, match="give 'auto', 'exact' or 'sample'"):
        count_tokens(completions(), WORDS, host="h", model="m", how=how)


# through the data set


def test_a_data_set_is_counted_by_a_models_name() -> None:
    found = Dataset.from_records(PAIRS).token_counts("gpt-4.1-mini")
    assert (found.host, found.model, found.limit) == ("openai", "gpt-4.1-mini-2025-04-14", 65_536)
    assert "takes conversations alone" in str(found)
    assert found.rows == found.counted_rows == 20
    shown = str(found)
    assert repr(found) == shown
    assert "total" in shown
    assert "65,536 for each single example; 0 are longer" in shown
    assert "<table>" in found._repr_html_()


def test_a_host_by_name_and_a_fine_tuned_model_by_its_base() -> None:
    data = Dataset.from_records(PAIRS)
    assert data.token_counts("gpt-4.1", host="azure").host == "azure"
    assert data.token_counts("ft:gpt-4o-mini-2024-07-18:org::1").model == "gpt-4o-mini-2024-07-18"
    assert data.token_counts("smollm2-135m").host == "local"


def test_a_base_model_that_is_not_here_yet_is_estimated_and_that_is_said() -> None:
    found = Dataset.from_records(PAIRS).token_counts("smollm2-135m")
    assert not found.exact
    assert "not on this machine yet" in str(found) or "finetune_kit[local]" in str(found)


def test_a_model_that_nobody_knows_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnknownModelError, match="FINETUNE_KIT_HOSTS"):
        Dataset.from_records(PAIRS).token_counts("gpt-9")
