"""What the rules found, counted in full and kept in part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from finetune_kit.errors import ValidationError
from finetune_kit.rows import Origin
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.summary import Tally, headline, summarize

# An uncapped list of findings is what makes memory grow on a large bad file; per severity, so that no error is hidden.
_KEPT_PER_CODE = 100
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """The findings about a data set: errors first, then by code, then in the order of the rows."""

    issues: tuple[Issue, ...]
    """The first hundred of each code in full."""
    tally: Tally
    """How often each severity and code was found, all of them counted."""
    rows: int
    """How many examples were checked."""

    @classmethod
    def collect(cls, issues: Iterable[Issue], *, rows: int = 0) -> Report:
        """A report of findings that come from elsewhere than `validate`."""
        builder = ReportBuilder()
        builder.extend(issues)
        return builder.build(rows=rows)

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each code was found."""
        counts: dict[str, int] = {}
        for (_, code), times in self.tally.items():
            counts[code] = counts.get(code, 0) + times
        return counts

    @property
    def errors(self) -> tuple[Issue, ...]:
        """The findings that training refuses."""
        return tuple(issue for issue in self.issues if issue.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """The findings that training lives with."""
        return tuple(issue for issue in self.issues if issue.severity is Severity.WARNING)

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.errors

    def summary(self) -> str:
        """The report as text for a terminal: a line for each fault with its count and the first few rows."""
        return summarize(self.issues, self.tally, self.rows)

    def raise_if_errors(self) -> None:
        """Raise `ValidationError` with the summary as its message, unless the report is `ok`."""
        if not self.ok:
            raise ValidationError(self.summary(), report=self)

    def merge(self, other: Report) -> Report:
        """Both reports as one, such as those on the training and the validation set."""
        tally = dict(self.tally)
        for key, times in other.tally.items():
            tally[key] = tally.get(key, 0) + times
        kept = ReportBuilder()
        kept.extend(self.issues + other.issues)
        return Report(issues=kept.build(rows=0).issues, tally=tally, rows=self.rows + other.rows)

    def __repr__(self) -> str:
        return f"<Report: {headline(self.tally, self.rows)}>"


@dataclass(slots=True)
class ReportBuilder:
    """Counts findings as they come and keeps the first of each code."""

    origin: Callable[[int], Origin | None] | None = None
    """Names the file and line of a row, for findings that only know the row."""
    _issues: list[Issue] = field(default_factory=list[Issue])
    _tally: dict[tuple[Severity, str], int] = field(default_factory=dict[tuple[Severity, str], int])

    def extend(self, issues: Iterable[Issue]) -> None:
        """Take up findings."""
        for issue in issues:
            key = issue.severity, issue.code
            self._tally[key] = self._tally.get(key, 0) + 1
            if self._tally[key] <= _KEPT_PER_CODE:
                self._issues.append(self._located(issue))

    def count_more(self, issue: Issue, times: int) -> None:
        """Take up one finding that stands for `times` of them."""
        self.extend([issue])
        self._tally[issue.severity, issue.code] += times - 1

    def build(self, *, rows: int) -> Report:
        """The report so far."""
        ordered = sorted(self._issues, key=lambda issue: (_RANK[issue.severity], issue.code))
        return Report(issues=tuple(ordered), tally=dict(self._tally), rows=rows)

    def _located(self, issue: Issue) -> Issue:
        if self.origin is None:
            return issue
        if issue.row is not None and issue.origin is None:
            issue = replace(issue, origin=self.origin(issue.row))
        if issue.related is not None and issue.related_origin is None:
            issue = replace(issue, related_origin=self.origin(issue.related))
        return issue
