"""Too few examples are an error, few are a warning."""

from __future__ import annotations

import pytest

from finetune_kit.validators import MinimumExamples, Severity, validate
from tests.rows_of import many


@pytest.mark.parametrize(
    ("rows", "severities"),
    [(0, [Severity.ERROR]), (9, [Severity.ERROR]), (10, [Severity.WARNING]), (149, [Severity.WARNING]), (150, [])],
)
def test_ten_are_needed_and_a_hundred_and_fifty_advised(rows: int, severities: list[Severity]) -> None:
    assert [issue.severity for issue in validate(many(rows), [MinimumExamples()]).issues] == severities


def test_the_numbers_are_parameters() -> None:
    assert validate(many(3), [MinimumExamples(minimum=2, advised=3)]).issues == ()
