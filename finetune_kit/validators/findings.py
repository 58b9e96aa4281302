"""Equal issues as one finding with a count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune_kit.validators.issue import Issue, Severity

Tally = Mapping[tuple[Severity, str], int]
"""How often each code was found, kept in full or not."""
MessageTally = Mapping[tuple[Severity, str, str], int]
"""How often each message of a code was found; only the first messages of a code have a number of their own."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, as often as it was found."""

    message: str
    times: int
    issues: tuple[Issue, ...]
    """The first of them."""


@dataclass(frozen=True, slots=True)
class CodeFindings:
    """All that was found under one code."""

    severity: Severity
    code: str
    times: int
    findings: tuple[Finding, ...]
    """In the order in which they were first met."""

    @property
    def hints(self) -> tuple[str, ...]:
        """What to do, each said once."""
        hints = (issue.hint for finding in self.findings for issue in finding.issues)
        return tuple(dict.fromkeys(hint for hint in hints if hint))


def findings_of(issues: Sequence[Issue], tally: Tally, messages: MessageTally) -> tuple[CodeFindings, ...]:
    """The issues of a report by code and message, in its order."""
    grouped: dict[tuple[Severity, str], dict[str, list[Issue]]] = {}
    for issue in issues:
        grouped.setdefault((issue.severity, issue.code), {}).setdefault(issue.message, []).append(issue)
    return tuple(
        CodeFindings(
            severity,
            code,
            tally[severity, code],
            tuple(
                Finding(message, messages.get((severity, code, message), len(same)), tuple(same))
                for message, same in by_message.items()
            ),
        )
        for (severity, code), by_message in grouped.items()
    )
