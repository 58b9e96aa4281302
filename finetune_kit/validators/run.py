"""All rules over all examples, in one pass."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Protocol, TypeVar, cast

from finetune_kit._quoting import shown
from finetune_kit.errors import ParameterError
from finetune_kit.rows import Batch, Origin, Refusal, Rows, Source
from finetune_kit.validators.illustrate import Illustrator
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.personal_data import PersonalData
from finetune_kit.validators.profile import Survey
from finetune_kit.validators.protocols import AnyValidator, SetCheck, SetValidator, Validator
from finetune_kit.validators.report import Report, ReportBuilder
from finetune_kit.validators.rule_text import UNREAD, RuleText, rule_text
from finetune_kit.validators.secrets import Secrets
from finetune_kit.validators.subject import subject_of

T = TypeVar("T")

_ERROR_TEXT_LIMIT = 200
_LARGEST_BYTES = 8 << 20
_NOTHING: tuple[Issue, ...] = ()
_SEVERITIES = tuple(Severity)


def validate(
    rows: Rows, validators: Sequence[AnyValidator], *, source: Source | None = None, host: str | None = None
) -> Report:
    """Run the rules over the examples; rows that `source` could not read are errors too.

    A rule that raises becomes one error that names it, and the others go on. `host` is only told in the report.
    """
    runs = [_start(validator) for validator in validators]
    builder = ReportBuilder(origin=lambda row: rows.origin(row) if 0 <= row < len(rows) else None)
    if source is not None:
        _take_refusals(builder, source)
    for batch in rows.batches():
        for part in _small_parts(batch):
            for run in runs:
                if found := run.see(part):
                    builder.extend(found)
    for run in runs:
        builder.extend(run.finish())
    report = builder.build(rows=len(rows))
    refusals = () if source is None else source.refusals
    codes_of_secrets = {issue.code for issue in report.issues if issue.sensitive}
    asked_again = [
        rule for rule in validators if isinstance(rule, Validator) and _is_asked_again(rule, codes_of_secrets)
    ]
    illustrator = Illustrator(rows, asked_again, refusals)
    return replace(
        report,
        issues=illustrator.illustrated(report.issues),
        subjects=(subject_of(rows, source, Survey(rows, illustrator.masked), host=host),),
        rules=_texts(validators, refusals),
    )


def _small_parts(batch: Batch) -> Iterable[Batch]:
    """The batch itself, or its rows in smaller ones where they are so long that all together would fill the memory."""
    if len(batch) == 1 or batch.size_bytes <= _LARGEST_BYTES:
        return (batch,)
    middle = len(batch) // 2
    return chain(_small_parts(batch[:middle]), _small_parts(batch[middle:]))


def _is_asked_again(rule: Validator, codes_of_secrets: Container[str]) -> bool:
    """Whether it may find secrets in the rows that are shown: others than these two only where they found some."""
    return isinstance(rule, PersonalData | Secrets) or rule.code in codes_of_secrets


def _texts(validators: Iterable[AnyValidator], refusals: Iterable[Refusal]) -> tuple[RuleText, ...]:
    texts = {refusal.code: RuleText(refusal.code, UNREAD) for refusal in refusals}
    texts |= {rule.code: rule_text(rule, rule.code) for rule in validators}
    return tuple(text for _, text in sorted(texts.items()))


def _take_refusals(builder: ReportBuilder, source: Source) -> None:
    for refusal in source.refusals:
        origin = Origin(refusal.path or source.path, refusal.line)
        field = None if refusal.column is None else f"column {refusal.column}"
        hint = f"{refusal.hint.rstrip('.')}." if refusal.hint else ""
        unread = Issue(refusal.code, Severity.ERROR, refusal.reason, origin=origin, field=field, hint=hint)
        builder.extend([unread])
    if unnamed := source.rows_refused - len(source.refusals):
        message = "more rows could not be read, beyond those that are named"
        builder.count_more(Issue("rows_refused", Severity.ERROR, message), unnamed)


class _Run(Protocol):
    def see(self, batch: Batch) -> Iterable[Issue]: ...
    def finish(self) -> Iterable[Issue]: ...


def _start(validator: AnyValidator) -> _Run:
    if isinstance(validator, Validator) and not isinstance(validator, type):
        return _RowRun(validator, _Failure(validator.code))
    if isinstance(validator, SetValidator) and not isinstance(validator, type):
        return _SetRun(validator)
    # The types forbid it, but most people run no type checker, and a class is easily passed for its instance.
    raise ParameterError(
        f"{shown(validator)} is not a validator. Pass an object with a `code` and `check(batch)` or `start()`, "
        "such as EmptyCompletion(), or a function decorated with @row_validator.",
        parameter="validators",
    )


@dataclass(slots=True)
class _Failure:
    """Counts what one rule raised."""

    code: str
    first: str = ""
    first_row: int | None = None
    times: int = 0

    def guard(self, call: Callable[[], T], row: int | None) -> T | None:
        """The call's result, or None where it raises."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - a rule may be anybody's code: this is the edge between it and ours
            self.note(error, row)
            return None

    def note(self, error: Exception, row: int | None) -> None:
        if not self.times:
            text = traceback.format_exception_only(error)[-1].strip()
            self.first = text if len(text) <= _ERROR_TEXT_LIMIT else text[:_ERROR_TEXT_LIMIT] + "…"
            self.first_row = row
        self.times += 1

    def issues(self) -> list[Issue]:
        """One finding that names the rule, if it raised at all."""
        if not self.times:
            return []
        often = "" if self.times == 1 else f" {self.times:,} times, first with"
        message = f"the rule {self.code!r} itself raised{often} {self.first}"
        hint = "Correct the rule, or leave it out of `validators`; the other rules were checked."
        return [Issue("validator_failed", Severity.ERROR, message, row=self.first_row, hint=hint)]


@dataclass(frozen=True, slots=True)
class _RowRun:
    validator: Validator
    failure: _Failure

    def see(self, batch: Batch) -> Sequence[Issue]:
        try:
            return self._check(batch)
        except Exception as error:  # noqa: BLE001 - as in `_Failure.guard`; now find the rows that it raises on
            failed_before = self.failure.times
            found = self._one_by_one(batch)
            if self.failure.times == failed_before:
                self.failure.note(error, batch.start)
            return found

    def _check(self, batch: Batch) -> Sequence[Issue]:
        return _all_checked(self.validator.check(batch))

    def _one_by_one(self, batch: Batch) -> list[Issue]:
        found: list[Issue] = []
        for place in range(len(batch)):
            one = batch[place : place + 1]
            found += self.failure.guard(partial(self._check, one), one.start) or []
        return found

    def finish(self) -> list[Issue]:
        return self.failure.issues()


class _SetRun:
    """A whole-set rule that has raised is not asked again: what it remembers may be damaged."""

    def __init__(self, validator: SetValidator) -> None:
        self._failure = _Failure(validator.code)
        self._check: SetCheck | None = self._failure.guard(validator.start, None)

    def see(self, batch: Batch) -> Iterable[Issue]:
        if self._check is None:
            return _NOTHING
        try:
            found = self._check.see(batch)
        except Exception as error:  # noqa: BLE001 - as in `_Failure.guard`
            self._give_up(error, batch.start)
            return _NOTHING
        return self._taken(found, batch.start) if found else _NOTHING

    def finish(self) -> Iterator[Issue]:
        if self._check is not None:
            found = self._failure.guard(self._check.finish, None)
            yield from self._taken(_NOTHING if found is None else found, None)
        yield from self._failure.issues()

    def _taken(self, found: Iterable[Issue], row: int | None) -> Iterator[Issue]:
        try:
            yield from _checked(found)
        except Exception as error:  # noqa: BLE001 - as in `_Failure.guard`
            self._give_up(error, row)

    def _give_up(self, error: Exception, row: int | None) -> None:
        self._failure.note(error, row)
        self._check = None


def _all_checked(found: Iterable[object]) -> Sequence[Issue]:
    # Most rules find nothing in most batches, and say so by an empty list or tuple.
    return _NOTHING if isinstance(found, list | tuple) and not found else list(_checked(found))


def _checked(issues: Iterable[object]) -> Iterator[Issue]:
    for issue in issues:
        if not isinstance(issue, Issue):
            raise TypeError(f"a validator gives Issue objects, not {type(issue).__name__}")
        if (
            issue.severity not in _SEVERITIES
        ):  # here and below: the types forbid it, but most people run no type checker
            raise ValueError(f"an issue's severity is one of {', '.join(_SEVERITIES)}, not {issue.severity!r}")
        if issue.span is not None and not _is_span(issue.span):
            raise ValueError(f"an issue's span is a tuple of two whole numbers, not {issue.span!r}")
        yield issue


def _is_span(span: object) -> bool:
    if not isinstance(span, tuple):
        return False
    ends = cast("tuple[object, ...]", span)
    return len(ends) == 2 and all(isinstance(end, int) for end in ends)
