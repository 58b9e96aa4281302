"""`check_validator` finds each broken promise, and no rule of the package breaks one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from finetune_kit.errors import DataError
from finetune_kit.records import ChatExample, CompletionExample, Example
from finetune_kit.rows import Batch
from finetune_kit.testing import check_validator
from finetune_kit.validators import AnyValidator, Issue, RowRule, Severity, default_rules, row_validator
from finetune_kit.validators.leading_space import OLD_MODELS
from finetune_kit.validators.plugins import BrokenPlugin
from tests.testing.rule_examples import EXAMPLES, SOURCE

RULES = (*default_rules("openai", model=OLD_MODELS[0], source=SOURCE), BrokenPlugin())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_rule_of_the_package_keeps_its_promises(rule: AnyValidator) -> None:
    assert rule.code in EXAMPLES, f"add bad and good examples of {rule.code} to tests/testing/rule_examples.py"
    examples = EXAMPLES[rule.code]
    check_validator(examples.rule or rule, bad=examples.bad, good=examples.good)


BAD, GOOD = [("see http://x", "y")], [("see x", "y")]
CHECKS = 11


@row_validator("no_links")
def no_links(example: Example) -> str | None:
    return "there is a link" if "http" in str(example.content()) else None


LINK = Issue("no_links", Severity.ERROR, "there is a link", field="prompt")


def local_rule() -> RowRule[Example]:
    """No other process finds it."""

    @row_validator("no_links")
    def inner(example: Example) -> str | None:
        return no_links(example)

    return inner


@dataclass(frozen=True)
class NoLinks:
    """A rule of somebody else's; each field is a promise to break."""

    code: str = "no_links"
    issue: Issue = LINK
    deaf: bool = False
    strict: bool = False
    careless: bool = False
    counts_from_zero: bool = False
    changes: bool = False
    given: Any = None

    def check(self, batch: Batch) -> Iterable[Any]:
        for row, example in enumerate(batch.examples, 0 if self.counts_from_zero else batch.start):
            if self.careless and isinstance(example, ChatExample) and not example.messages:
                raise IndexError("there are no messages")
            if self.changes and isinstance(example, CompletionExample):
                object.__setattr__(example, "prompt", "changed")
            if self.strict or (not self.deaf and "http" in str(example.content())):
                yield self.given or replace(self.issue, row=row)


@dataclass
class Forgetful:
    """A rule that says less the second time."""

    code: str = "no_links"
    asked: int = 0

    def check(self, batch: Batch) -> Iterable[Issue]:
        self.asked += 1
        return no_links.check(batch) if self.asked % 2 else ()


@dataclass(frozen=True)
class AtMostOne:
    """A whole-set rule whose runs share what they remember."""

    code: str = "at_most_one"
    seen: list[int] = field(default_factory=list[int])

    def start(self) -> AtMostOne:
        self.seen.clear()
        return self

    def see(self, batch: Batch) -> Iterable[Issue]:
        self.seen.extend(range(len(batch)))
        return ()

    def finish(self) -> Iterable[Issue]:
        return [Issue(self.code, Severity.ERROR, f"there are {len(self.seen)} rows")] if len(self.seen) > 1 else []


@dataclass(frozen=True)
class OfBatches(AtMostOne):
    """A whole-set rule that takes a batch for the set."""

    def start(self) -> OfBatches:
        return self

    def see(self, batch: Batch) -> Iterable[Issue]:
        return [Issue(self.code, Severity.ERROR, "too many")] if len(batch) > 1 else []

    def finish(self) -> Iterable[Issue]:
        return ()


def test_a_good_rule_keeps_all_promises() -> None:
    assert len(check_validator(no_links, bad=BAD, good=GOOD)) == CHECKS
    assert len(check_validator(NoLinks(), bad=[BAD, *BAD], good=GOOD)) == CHECKS


def secret(message: str) -> Issue:
    return Issue("no_links", Severity.ERROR, message, field="prompt", span=(4, 12), sensitive=True)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (NoLinks, "or is a class"),
        (object(), "it has no `code`"),
        (NoLinks(code="no links"), "is not one word"),
        (NoLinks(deaf=True), r"it finds nothing in bad\[0\]"),
        (NoLinks(strict=True), r"in good\[0\] it finds 'there is a link'"),
        (NoLinks(given="a link"), "it gives str where it should give Issue objects"),
        (NoLinks(issue=Issue("links", Severity.ERROR, "m")), "its code is 'no_links', and an issue's is 'links'"),
        (NoLinks(issue=Issue("no_links", cast("Severity", "fatal"), "m")), "a severity is one of error, warning, info"),
        (NoLinks(issue=Issue("no_links", Severity.ERROR, "two\nlines")), "is not one line of text"),
        (NoLinks(issue=Issue("no_links", Severity.ERROR, "a link.")), "ends with a full stop"),
        (NoLinks(issue=Issue("no_links", Severity.ERROR, "a link in row 3")), "names a place"),
        (NoLinks(issue=Issue("no_links", Severity.ERROR, "m", field="prompt", span=(4, 99))), "is not within the 12"),
        (NoLinks(issue=Issue("no_links", Severity.ERROR, "m", field="x", span=(0, 1))), "nothing at the field 'x'"),
        (NoLinks(issue=secret("it is http://x")), "is sensitive, and the message or the hint quotes it"),
        (NoLinks(issue=Issue("no_links", Severity.ERROR, "m", related=7)), "related=7 in bad"),
        (NoLinks(counts_from_zero=True), "rows count from `batch.start`"),
        (NoLinks(changes=True), "it changes the examples"),
        (NoLinks(careless=True), r"no_example_makes_it_raise: it raised IndexError"),
        (Forgetful(), "otherwise the second time"),
        (local_rule(), "it_can_be_pickled: it raised"),
        (AtMostOne(), "a second run over"),
        (OfBatches(), "otherwise than at once"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else type(value).__name__,
)
def test_a_broken_promise_is_named(rule: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_validator(rule, bad=[[*BAD, *BAD, *BAD], *BAD], good=GOOD)


def test_a_good_issue_with_a_secret_passes() -> None:
    check_validator(NoLinks(issue=secret("there is a link")), bad=BAD, good=GOOD)


def test_examples_that_cannot_be_read_are_named() -> None:
    with pytest.raises((AssertionError, DataError)):
        check_validator(no_links, bad=[{"question": 1}], good=GOOD)
    with pytest.raises(AssertionError, match="at least one bad example"):
        check_validator(no_links, bad=[], good=GOOD)
