"""What the rules found, counted in full and kept in part."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from finetune_kit._replacing import replacing
from finetune_kit.errors import ValidationError
from finetune_kit.rows import Origin
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.page import card, page
from finetune_kit.validators.report_data import ReportData
from finetune_kit.validators.report_json import as_json, from_json
from finetune_kit.validators.rule_text import RuleText
from finetune_kit.validators.sensitive import without_secrets
from finetune_kit.validators.summary import headline, summarize

KeyT = TypeVar("KeyT", tuple[Severity, str], tuple[Severity, str, str])

# An uncapped list of findings is what makes memory grow on a large bad file; per severity, so that no error is hidden.
_KEPT_PER_CODE = 100
# Beyond those, so that no fault is hidden behind another of its code.
_KEPT_PER_MESSAGE = 3
_MESSAGES_COUNTED = 50
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, repr=False)
class Report(ReportData):
    """The findings about a data set: errors first, then by code, then in the order of the rows."""

    @classmethod
    def collect(cls, issues: Iterable[Issue], *, rows: int = 0) -> Report:
        """A report of findings that come from elsewhere than `validate`."""
        builder = ReportBuilder()
        builder.extend(issues)
        return builder.build(rows=rows)

    def summary(self) -> str:
        """The report as text for a terminal: a line for each fault with its count and the first few rows."""
        return summarize(self.findings, self.tally, self.rows)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as JSON for other programs, also written to `path` where there is one; `from_json` reads it.

        docs/reports.md tells what is in it. Raises `StorageError`; the file is there as a whole or not at all.
        """
        return _written(as_json(self), path)

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """The report that `to_json` gave; `FormatError` where the text is no such report."""
        data = from_json(text)
        return cls(**{each.name: getattr(data, each.name) for each in fields(ReportData)})

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as one page that needs nothing else, also written to `path` where there is one.

        Raises `StorageError`; the file is there as a whole or not at all.
        """
        return _written(page(self), path)

    def _repr_html_(self) -> str:
        return card(self)

    def raise_if_errors(self) -> None:
        """Raise `ValidationError` with the summary as its message, unless the report is `ok`."""
        if not self.ok:
            raise ValidationError(self.summary(), report=self)

    def merge(self, other: Report) -> Report:
        """Both reports as one, such as those on the training and the validation set."""
        kept = ReportBuilder()
        kept.extend(self.issues + other.issues)
        return Report(
            issues=kept.build(rows=0).issues,
            tally=_ordered(_sum(self.tally, other.tally)),
            rows=self.rows + other.rows,
            messages=_ordered(_sum(self.messages, other.messages)),
            subjects=self.subjects + other.subjects,
            rules=_each_once(self.rules + other.rules),
        )

    def named(self, name: str) -> Report:
        """The same report with a name for the data set that it is about, such as the side of a split."""
        return replace(self, subjects=tuple(replace(subject, name=name) for subject in self.subjects))

    def __repr__(self) -> str:
        return f"<Report: {headline(self.tally, self.rows)}>"


@dataclass(slots=True)
class ReportBuilder:
    """Counts findings as they come and keeps the first of each code and of each message."""

    origin: Callable[[int], Origin | None] | None = None
    """Names the file and line of a row, for findings that only know the row."""
    _issues: list[Issue] = field(default_factory=list[Issue])
    _tally: dict[tuple[Severity, str], int] = field(default_factory=dict[tuple[Severity, str], int])
    _messages: dict[tuple[Severity, str], dict[str, int]] = field(
        default_factory=dict[tuple[Severity, str], dict[str, int]]
    )

    def extend(self, issues: Iterable[Issue]) -> None:
        """Take up findings."""
        for issue in issues:
            self._take(issue, 1)

    def count_more(self, issue: Issue, times: int) -> None:
        """Take up one finding that stands for `times` of them."""
        self._take(issue, times)

    def build(self, *, rows: int) -> Report:
        """The report so far."""
        ordered = sorted(map(_masked, self._issues), key=lambda issue: (_RANK[issue.severity], issue.code))
        messages: dict[tuple[Severity, str, str], int] = {}
        for (severity, code), counts in self._messages.items():
            for message, times in counts.items():
                key = severity, code, without_secrets(message)
                messages[key] = messages.get(key, 0) + times
        return Report(issues=tuple(ordered), tally=_ordered(self._tally), rows=rows, messages=_ordered(messages))

    def _take(self, issue: Issue, times: int) -> None:
        key = issue.severity, issue.code
        self._tally[key] = counted = self._tally.get(key, 0) + times
        messages = self._messages.setdefault(key, {})
        earlier = messages.get(issue.message, 0)
        known = earlier > 0 or len(messages) < _MESSAGES_COUNTED
        if known:
            messages[issue.message] = earlier + times
        if counted <= _KEPT_PER_CODE or times > 1 or (known and earlier < _KEPT_PER_MESSAGE):
            self._issues.append(self._located(issue))

    def _located(self, issue: Issue) -> Issue:
        if self.origin is None:
            return issue
        if issue.row is not None and issue.origin is None:
            issue = replace(issue, origin=self.origin(issue.row))
        if issue.related is not None and issue.related_origin is None:
            issue = replace(issue, related_origin=self.origin(issue.related))
        return issue


def _masked(issue: Issue) -> Issue:
    """A rule may quote a label, a key or a beginning, and that may be an address or a key to an account."""
    message, hint = without_secrets(issue.message), without_secrets(issue.hint)
    return issue if (message, hint) == (issue.message, issue.hint) else replace(issue, message=message, hint=hint)


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        with replacing(os.fsdecode(path)) as file:
            file.write(text.encode())
    return text


def _sum(one: Mapping[KeyT, int], other: Mapping[KeyT, int]) -> dict[KeyT, int]:
    total = dict(one)
    for key, times in other.items():
        total[key] = total.get(key, 0) + times
    return total


def _ordered(counts: Mapping[KeyT, int]) -> dict[KeyT, int]:
    """By severity and code; the messages of a code stay as they came."""
    return dict(sorted(counts.items(), key=lambda item: (_RANK[item[0][0]], item[0][1])))


def _each_once(rules: Iterable[RuleText]) -> tuple[RuleText, ...]:
    return tuple(sorted({rule.code: rule for rule in rules}.values(), key=lambda rule: rule.code))
