"""All rules run in one pass, and a faulty rule stops nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from finetune_kit.errors import ParameterError
from finetune_kit.records import CompletionExample, Example
from finetune_kit.rows import Batch, Refusal, Source
from finetune_kit.validators import DEFAULT, EmptyCompletion, Issue, Severity, row_validator, validate
from tests.rows_of import completions, many


@row_validator("brittle")
def brittle(example: CompletionExample) -> str | None:
    return "odd" if int(example.prompt) % 2 else None


@dataclass(frozen=True)
class Raises:
    """A whole-set rule that raises where it is told to."""

    where: str
    code: str = "raises"

    def start(self) -> Raises:
        return self._reach("start")

    def see(self, batch: Batch) -> Iterable[Issue]:
        self._reach("see")
        return [Issue("seen", Severity.INFO, "seen", row=batch.start)]

    def finish(self) -> Iterator[Issue]:
        yield Issue("finishing", Severity.INFO, "finishing")
        self._reach("finish")

    def _reach(self, place: str) -> Raises:
        if place == self.where:
            raise RuntimeError("out of luck")
        return self


def test_a_rule_that_raises_is_one_error_and_its_other_rows_are_checked() -> None:
    rows = completions(("1", "a"), ("two", "b"), ("3", ""), ("four", "d"))
    report = validate(rows, [brittle, EmptyCompletion()])
    [failed] = [issue for issue in report.errors if issue.code == "validator_failed"]
    assert (failed.row, str(failed.origin)) == (1, "support.csv row 3")
    assert failed.message == (
        "the rule 'brittle' itself raised 2 times, first with ValueError: invalid literal for int() with base 10: 'two'"
    )
    assert report.counts == {"brittle": 2, "empty_completion": 1, "validator_failed": 1}


@pytest.mark.parametrize(
    ("where", "counts"),
    [
        ("start", {"validator_failed": 1}),
        ("see", {"validator_failed": 1}),
        ("finish", {"finishing": 1, "seen": 2, "validator_failed": 1}),
    ],
)
def test_a_whole_set_rule_that_raises_is_not_asked_again(where: str, counts: dict[str, int]) -> None:
    report = validate(many(300), [Raises(where)])
    assert report.counts == counts
    assert report.errors[0].message == "the rule 'raises' itself raised RuntimeError: out of luck"


def test_a_rule_that_returns_something_else_is_named() -> None:
    @row_validator("wrong")
    def wrong(example: Example) -> str | None:
        return cast("str", True)  # what an untyped program may do

    [issue] = validate(completions(("a", "b")), [wrong]).errors
    assert "TypeError: a rule returns None or a message, not bool" in issue.message


def test_a_class_in_place_of_its_instance_is_refused_at_once() -> None:
    with pytest.raises(ParameterError, match="such as EmptyCompletion"):
        validate(completions(("a", "b")), [cast("Any", EmptyCompletion)])


def test_rows_that_could_not_be_read_are_errors_with_their_line() -> None:
    report = validate(completions(("a", "b")), [], source=_source(refused=1_500))
    assert report.counts == {"ragged_row": 1_000, "rows_refused": 500}
    assert report.errors[0].hint == "Quote the comma."
    assert (
        "ragged_row: 3 cells where the header has 2 (1,000 times: support.csv row 2, row 3, row 4, …)"
        in report.summary()
    )


def test_good_examples_pass_all_default_rules() -> None:
    report = validate(many(150), DEFAULT)
    assert report.ok
    assert report.warnings == ()


def _source(*, refused: int) -> Source:
    named = min(refused, 1_000)
    refusals = (
        Refusal(line, None, "ragged_row", "3 cells where the header has 2", "Quote the comma.", "a,b,c")
        for line in range(2, named + 2)
    )
    return Source(
        path="support.csv",
        format="csv",
        encoding="utf-8",
        confidence=1.0,
        bom=False,
        delimiter=",",
        rows_read=1,
        rows_refused=refused,
        refusals=tuple(refusals),
        columns={"prompt": "prompt", "completion": "completion"},
        notes=(),
    )


@dataclass(frozen=True)
class Watches:
    """A rule that remembers what it is shown."""

    shown: list[tuple[int, int, int]]
    code: str = "watches"

    def check(self, batch: Batch) -> Iterable[Issue]:
        self.shown.append((batch.start, len(batch), batch.size_bytes))
        return ()


def test_rules_see_rows_so_long_in_smaller_batches() -> None:
    megabytes = [1, 3, 9, 1, 1, 4, 0, 5]
    rows = completions(*((f"question {n}", "x" * (size << 20)) for n, size in enumerate(megabytes)))
    watch = Watches([])
    validate(rows, [watch])
    assert [start for start, _, _ in watch.shown] == [0, 2, 3, 4, 6]
    assert sum(length for _, length, _ in watch.shown) == len(rows)
    assert all(length == 1 or size <= 8 << 20 for _, length, size in watch.shown)


def test_rules_see_ordinary_rows_256_at_a_time() -> None:
    watch = Watches([])
    validate(many(600), [watch])
    assert [(start, length) for start, length, _ in watch.shown] == [(0, 256), (256, 256), (512, 88)]
