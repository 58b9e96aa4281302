"""A mixture of completions with and without a space in front matters to models that only complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.dataset import Dataset
from finetune_kit.validators import LeadingSpace, validate
from tests.rows_of import PAIRS, completions


def test_the_rows_of_the_minority_are_named() -> None:
    rows = completions(("a", " yes"), ("b", "no"), ("c", " no"), ("d", " yes"))
    assert [(issue.row, issue.message) for issue in validate(rows, [LeadingSpace()]).warnings] == [
        (1, "the completion does not begin with a space, as most do")
    ]
    rows = completions(("a", "yes"), ("b", " no"), ("c", "no"))
    assert [(issue.row, issue.message) for issue in validate(rows, [LeadingSpace()]).warnings] == [
        (1, "the completion begins with a space, most do not")
    ]


@pytest.mark.parametrize("space", ["", " "])
def test_all_alike_is_well(space: str) -> None:
    assert validate(completions(*((a, space + b) for a, b in PAIRS)), [LeadingSpace()]).issues == ()


@pytest.mark.parametrize(("model", "told"), [("davinci", 1), ("babbage-002", 1), ("gpt-4.1", 0), (None, 0)])
def test_only_models_that_complete_mind(model: str | None, told: int) -> None:
    data = Dataset.from_records([*PAIRS, ("Lost?", " track")])
    assert data.validate(model=model).counts.get("leading_space", 0) == told


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_there_are_as_many_findings_as_the_fewer_are(spaced: list[bool]) -> None:
    rows = completions(*(("a", " x" if space else "x") for space in spaced))
    assert len(validate(rows, [LeadingSpace()]).issues) == min(sum(spaced), len(spaced) - sum(spaced))
