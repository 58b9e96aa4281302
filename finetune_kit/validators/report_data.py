"""What a report holds, without the ways to show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from finetune_kit.validators.findings import CodeFindings, MessageTally, Tally, findings_of
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.rule_text import RuleText
from finetune_kit.validators.subject import Subject


@dataclass(frozen=True, slots=True)
class ReportData:
    """The findings, in a stable order, and what they are about."""

    issues: tuple[Issue, ...]
    """The first hundred of each code, and the first three of each message."""
    tally: Tally
    """How often each severity and code was found, all of them counted."""
    rows: int
    """How many examples were checked."""
    messages: MessageTally = field(default_factory=dict[tuple[Severity, str, str], int])
    """How often each message was found, for the first fifty messages of each code."""
    subjects: tuple[Subject, ...] = ()
    """The data sets that were checked."""
    rules: tuple[RuleText, ...] = ()
    """The rules that were asked, by code, those that found nothing among them."""

    @property
    def findings(self) -> tuple[CodeFindings, ...]:
        """The issues by code and message, with the number of each."""
        return findings_of(self.issues, self.tally, self.messages)

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each code was found."""
        counts: dict[str, int] = {}
        for (_, code), times in self.tally.items():
            counts[code] = counts.get(code, 0) + times
        return counts

    @property
    def by_severity(self) -> Mapping[Severity, int]:
        """How often each severity was found."""
        counts = dict.fromkeys(Severity, 0)
        for (severity, _), times in self.tally.items():
            counts[severity] += times
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
        return not any(severity is Severity.ERROR for severity, _ in self.tally)
