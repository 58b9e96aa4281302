"""Examples beside the findings of a report, with what rules call secret masked in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from finetune_kit.records import CompletionExample
from finetune_kit.rows import Refusal, Rows, RowsBuilder
from finetune_kit.validators.excerpt import Excerpt, Part, Place, excerpt_of, excerpt_of_text
from finetune_kit.validators.fields import masked
from finetune_kit.validators.issue import Issue
from finetune_kit.validators.protocols import Validator
from finetune_kit.validators.sensitive import without_secrets

MESSAGES_SHOWN = 5
"""So many different messages of one code are shown."""
ROWS_SHOWN = 3
"""So many of the rows of one message are shown."""

_AS_READ = "the row as it was read"


@dataclass(frozen=True, slots=True)
class Illustrator:
    """Shows rows of one data set."""

    rows: Rows
    rules: Sequence[Validator]
    """Asked once more, about the few rows that are shown: what is secret in them."""
    refusals: Sequence[Refusal] = ()

    def illustrated(self, issues: Sequence[Issue]) -> tuple[Issue, ...]:
        """The issues, the first of each message with an excerpt of its row and of the other row that it is about."""
        shown = _first_ones(issues)
        numbers = {row for place in shown for row in (issues[place].row, issues[place].related) if row is not None}
        wanted = sorted(row for row in numbers if 0 <= row < len(self.rows))
        secrets = self._secrets(wanted)
        for issue in issues:
            if issue.sensitive and issue.row in secrets:
                secrets[issue.row].append(Place(issue.field, issue.span))
        refused = {(refusal.line, refusal.code): refusal for refusal in self.refusals}
        return tuple(
            self._with_excerpt(issue, secrets, refused) if place in shown else issue
            for place, issue in enumerate(issues)
        )

    def masked(self, texts: Sequence[str]) -> list[str]:
        """Texts from the data as they may be shown."""
        return [_masked_text(text, self._secrets_in(text)) for text in texts]

    def _with_excerpt(
        self,
        issue: Issue,
        secrets: Mapping[int, Sequence[Place]],
        refused: Mapping[tuple[int, str], Refusal],
    ) -> Issue:
        if issue.row is not None:
            fault = Place(issue.field, issue.span)
            related = self._excerpt(issue.related, Place(issue.field, None), secrets)
            return replace(issue, excerpt=self._excerpt(issue.row, fault, secrets), related_excerpt=related)
        refusal = None if issue.origin is None else refused.get((issue.origin.line, issue.code))
        if refusal is None:
            return issue
        span = None if refusal.column is None else (refusal.column - 1, refusal.column)
        text = refusal.text.encode("utf-8", "backslashreplace").decode()  # it may hold half of a surrogate pair
        return replace(issue, excerpt=excerpt_of_text(_AS_READ, text, span, self._secrets_in(text)))

    def _excerpt(self, row: int | None, fault: Place, secrets: Mapping[int, Sequence[Place]]) -> Excerpt | None:
        if row is None or row not in secrets:
            return None
        excerpt = excerpt_of(self.rows[row], fault, secrets=secrets[row])
        return excerpt if excerpt is None or not self.rules else replace(excerpt, parts=_unsaid(excerpt.parts))

    def _secrets(self, numbers: Sequence[int]) -> dict[int, list[Place]]:
        """What is secret in each of these rows."""
        found: dict[int, list[Place]] = {row: [] for row in numbers}
        for issue in self._sensitive(self.rows.take(numbers)):
            if issue.row is not None and 0 <= issue.row < len(numbers):
                found[numbers[issue.row]].append(Place(issue.field, issue.span))
        return found

    def _secrets_in(self, text: str) -> list[Place]:
        builder = RowsBuilder("completion")
        builder.add(CompletionExample("", text), line=1)
        return [Place(None, issue.span) for issue in self._sensitive(builder.build()) if issue.field == "completion"]

    def _sensitive(self, rows: Rows) -> Iterable[Issue]:
        for batch in rows.batches():
            for rule in self.rules:
                try:
                    found = [issue for issue in rule.check(batch) if issue.sensitive]
                except Exception:  # noqa: BLE001 - a rule may be anybody's code; that it raises was reported
                    continue
                yield from found


def _unsaid(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts without secrets where no rule looks: roles, keys, the definitions of tools, addresses of images."""
    return tuple(
        replace(
            part,
            field=without_secrets(part.field),
            text=without_secrets(part.text),
            role=None if part.role is None else without_secrets(part.role),
        )
        for part in parts
    )


def _first_ones(issues: Sequence[Issue]) -> set[int]:
    """The places of the issues that are shown with their row."""
    shown: set[int] = set()
    seen: dict[tuple[str, str], dict[str, int]] = {}
    for place, issue in enumerate(issues):
        messages = seen.setdefault((issue.severity, issue.code), {})
        times = messages.get(issue.message, 0)
        if times < ROWS_SHOWN and (times or len(messages) < MESSAGES_SHOWN):
            shown.add(place)
        if times or len(messages) < MESSAGES_SHOWN:
            messages[issue.message] = times + 1
    return shown


def _masked_text(text: str, secrets: Iterable[Place]) -> str:
    for secret in secrets:
        text = masked(text, secret.span)
    return text
