"""What every rule promises."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable, Iterable
from typing import cast

from finetune_kit.readers import read_records
from finetune_kit.records import JsonValue
from finetune_kit.rows import Batch, Rows
from finetune_kit.testing.hostile_examples import hostile_rows
from finetune_kit.testing.trial import promise
from finetune_kit.testing.validator_trial import BATCH_SIZES, Case, ValidatorTrial, is_rule, issues_of
from finetune_kit.validators import Issue, SetValidator, Severity, Validator
from finetune_kit.validators.fields import text_at

_CODE = re.compile(r"[^\s\x00-\x1f]+")
_PLACE = re.compile(r"\b(?:row|line|example|record) \d", re.IGNORECASE)
_SEVERITIES = tuple(Severity)


def it_is_a_rule_with_a_code(trial: ValidatorTrial) -> None:
    """An object, not its class, whose code is one word."""
    promise(is_rule(trial.validator), "it has no `code` with `check(batch)` or `start()`, or is a class.")
    code = cast("object", trial.validator.code)
    promise(isinstance(code, str) and bool(_CODE.fullmatch(code)), f"its code {code!r} is not one word.")


def it_reports_what_is_bad(trial: ValidatorTrial) -> None:
    """Something is found in each bad case."""
    missed = [case.name for case in trial.bad if not trial.found(case.rows)]
    promise(not missed, f"it finds nothing in {', '.join(missed)}.")


def it_passes_what_is_good(trial: ValidatorTrial) -> None:
    """Nothing is found in any good case."""
    for case in trial.good:
        found = trial.found(case.rows)
        promise(not found, f"in {case.name} it finds {found[0].message!r}." if found else "")


def its_issues_are_sound(trial: ValidatorTrial) -> None:
    """Code, severity, words, rows and spans are as a report needs them."""
    for case in trial.cases:
        for issue in trial.found(case.rows):
            _check_issue(issue, trial.validator.code, case)


def _check_issue(issue: Issue, code: str, case: Case) -> None:
    promise(issue.code == code, f"its code is {code!r}, and an issue's is {issue.code!r}.")
    promise(issue.severity in _SEVERITIES, f"a severity is one of {', '.join(_SEVERITIES)}, not {issue.severity!r}.")
    _check_words(issue)
    for name, row in (("row", issue.row), ("related", issue.related)):
        promise(
            row is None or 0 <= row < len(case.rows), f"{name}={row} in {case.name}, which has {len(case.rows)} rows."
        )
    if issue.span is not None:
        _check_span(issue, case)


def _check_words(issue: Issue) -> None:
    message = issue.message
    promise(bool(message.strip()) and message.isprintable(), f"the message {message!r} is not one line of text.")
    promise(not message.endswith("."), f"the message {message!r} ends with a full stop, which a report adds.")
    promise(
        not _PLACE.search(message), f"the message {message!r} names a place: give it as `row`, the report names it."
    )
    promise(not issue.hint or issue.hint.isprintable(), f"the hint {issue.hint!r} is not one line of text.")


def _check_span(issue: Issue, case: Case) -> None:
    promise(issue.row is not None and issue.field is not None, f"the span {issue.span} needs `row` and `field`.")
    if issue.row is None or issue.span is None:
        return
    text = text_at(_content(case.rows, issue.row), issue.field)
    promise(text is not None, f"there is nothing at the field {issue.field!r} that the span {issue.span} could be in.")
    start, end = issue.span
    length = len(text or "")
    promise(
        0 <= start <= end <= length, f"the span {issue.span} is not within the {length} characters of {issue.field}."
    )
    secret = (text or "")[start:end] if issue.sensitive else ""
    quoted = secret.strip() and (secret in issue.message or secret in issue.hint)
    promise(not quoted, f"{issue.field} is sensitive, and the message or the hint quotes it.")


def _content(rows: Rows, row: int) -> JsonValue:
    return rows[row].content()


def asked_again_it_says_the_same(trial: ValidatorTrial) -> None:
    """The same data have the same issues."""
    for case in trial.cases:
        promise(trial.found(case.rows) == trial.found(case.rows), f"it judges {case.name} otherwise the second time.")


def the_cut_into_batches_does_not_matter(trial: ValidatorTrial) -> None:
    """Rows are numbered through, and no batch is taken for the whole set."""
    for case in (*trial.cases, *_joined(trial)):
        whole = _sorted(trial.found(case.rows))
        for size in BATCH_SIZES:
            cut = _sorted(trial.found(case.rows, size))
            what = f"{case.name} in batches of {size}"
            promise(cut == whole, f"it judges {what} otherwise than at once; rows count from `batch.start`.")


def _joined(trial: ValidatorTrial) -> list[Case]:
    """All examples of one kind as one set, good ones in front, so that the bad ones do not begin it."""
    joined: list[Case] = []
    for case in trial.bad:
        good = [other.rows for other in trial.good if other.rows.kind == case.rows.kind]
        if good:
            joined.append(Case(f"{case.name} behind good examples", _chain([*good, case.rows])))
    return joined


def _chain(parts: Iterable[Rows]) -> Rows:
    return read_records([example for rows in parts for example in rows]).rows


def each_example_is_judged_alone(trial: ValidatorTrial) -> None:
    """True of a rule with `check`: what stands beside an example changes nothing."""
    if isinstance(trial.validator, SetValidator):
        return
    for case in trial.bad:
        alone = [_bare(issue, row) for row in range(len(case.rows)) for issue in trial.found(case.rows[row : row + 1])]
        together = [_bare(issue, issue.row) for issue in trial.found(case.rows)]
        promise(_as_set(alone) == _as_set(together), f"an example of {case.name} is judged otherwise beside others.")


def _bare(issue: Issue, row: int | None) -> tuple[object, ...]:
    return row, issue.severity, issue.message, issue.field, issue.span


def _as_set(found: list[tuple[object, ...]]) -> list[str]:
    return sorted(map(repr, found))


def the_data_stay_as_they_are(trial: ValidatorTrial) -> None:
    """The examples of a batch are shared by all rules."""
    for case in trial.cases:
        batch = next(case.rows.batches())
        before = copy.deepcopy(list(batch.examples))
        _ask(trial, batch)
        promise(list(batch.examples) == before, f"it changes the examples of {case.name}, which all rules share.")


def _ask(trial: ValidatorTrial, batch: Batch) -> None:
    if isinstance(trial.validator, Validator):
        list(trial.validator.check(batch))
        return
    run = trial.validator.start()
    list(run.see(batch))
    list(run.finish())


def two_runs_know_nothing_of_each_other(trial: ValidatorTrial) -> None:
    """What a whole-set rule remembers belongs to one run."""
    validator = trial.validator
    if isinstance(validator, Validator):
        return
    for case in trial.bad:
        alone = trial.found(case.rows)
        one, other = validator.start(), validator.start()
        found: list[Issue] = []
        for batch in case.rows.batches(2):
            found += one.see(batch)
            list(other.see(batch))
        list(other.finish())
        found += one.finish()
        promise(_sorted(found) == _sorted(alone), f"a second run over {case.name} changes what the first one finds.")


def no_example_makes_it_raise(trial: ValidatorTrial) -> None:
    """Whatever an example holds, a rule judges it."""
    for kind, rows in hostile_rows().items():
        for part in (rows, rows[:1], rows[:0]):
            for issue in trial.found(part):
                _check_issue(issue, trial.validator.code, Case(f"hostile {kind} examples", part))


def it_can_be_pickled(trial: ValidatorTrial) -> None:
    """Rules go to other processes."""
    copied = pickle.loads(pickle.dumps(trial.validator))
    for case in trial.bad:
        found = issues_of(copied, case.rows)
        promise(found == trial.found(case.rows), f"its copy from a pickle judges {case.name} otherwise.")


def _sorted(issues: Iterable[Issue]) -> list[Issue]:
    return sorted(issues, key=repr)


CHECKS: tuple[Callable[[ValidatorTrial], None], ...] = (
    it_is_a_rule_with_a_code,
    it_reports_what_is_bad,
    it_passes_what_is_good,
    its_issues_are_sound,
    asked_again_it_says_the_same,
    the_cut_into_batches_does_not_matter,
    each_example_is_judged_alone,
    the_data_stay_as_they_are,
    two_runs_know_nothing_of_each_other,
    no_example_makes_it_raise,
    it_can_be_pickled,
)
