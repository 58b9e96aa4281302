"""A comparison says what its examples allow, and that they are not enough where they are not."""

from __future__ import annotations

import pytest

from finetune_kit.migrating import Compared, Comparison
from finetune_kit.migrating.comparison import Verdict


def comparison(*, both: int = 0, only_old: int = 0, only_new: int = 0, neither: int = 0) -> Comparison:
    kinds = [("yes", "yes")] * both + [("yes", "no")] * only_old + [("no", "yes")] * only_new + [("no", "no")] * neither
    rows = [Compared(row, "yes", before, after) for row, (before, after) in enumerate(kinds)]
    return Comparison("old", "new", tuple(rows))


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({"both": 200}, "as good"),
        ({"both": 180, "neither": 20}, "as good"),
        ({"both": 10}, "not enough data to tell"),
        ({"both": 100, "only_old": 60}, "worse"),
        ({"both": 100, "only_new": 60}, "better"),
        ({"both": 150, "only_old": 10, "only_new": 12}, "not enough data to tell"),
        ({}, "not enough data to tell"),
    ],
)
def test_the_verdict_follows_the_interval(counts: dict[str, int], verdict: Verdict) -> None:
    found = comparison(**counts)
    assert found.verdict == verdict
    assert verdict.split()[0] in str(found).lower().split() or not counts


def test_counts_are_of_answers_that_are_the_same_but_for_white_space() -> None:
    found = Comparison(
        "old", "new", (Compared(0, "track", " track\n", "track "), Compared(1, "track", "Track", "track"))
    )
    assert found.old is not None
    assert found.alike is not None
    assert (found.new.count, found.old.count, found.alike.count) == (2, 1, 1)
    assert [one.row for one in found.differing] == [1]


def test_without_the_old_answers_only_the_data_are_compared_with() -> None:
    found = Comparison("old", "new", tuple(Compared(row, "track", None, "track") for row in range(300)))
    assert (found.old, found.alike, found.difference) == (None, None, None)
    assert found.verdict == "not enough data to tell"
    assert "the old model's answers are not in the archive" in str(found)
    assert found.new.share == 1.0


def test_a_models_words_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in str(Comparison("old", "new", (Compared(0, "a", "b\x1b[2J", "c\x1b[2J"),)))
