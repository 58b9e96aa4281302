"""`check_validator`: whether a rule keeps every promise that a report counts on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from finetune_kit.testing import validator_promises
from finetune_kit.testing.checks import Checks
from finetune_kit.testing.trial import promise
from finetune_kit.testing.validator_trial import ValidatorTrial, case_of
from finetune_kit.validators import AnyValidator


def check_validator(validator: AnyValidator, *, bad: Sequence[object], good: Sequence[object]) -> tuple[str, ...]:
    """Try a rule on data that it must report and data that it must pass; return the names of the checks that were made.

    Each item of `bad` and `good` is an example, as `Dataset.from_records` takes it, or a list of examples that are
    checked together, as a rule about the set needs them; `good` is empty for a rule that judges no rows. The rule is
    also asked about examples of every kind that are as odd as examples can be. Raises `AssertionError` with a sentence
    for each broken promise.

    >>> from finetune_kit.validators import row_validator
    >>> @row_validator("no_links")
    ... def no_links(example):
    ...     return "there is a link" if "http" in str(example.content()) else None
    >>> "no_example_makes_it_raise" in check_validator(no_links, bad=[("see http://x", "y")], good=[("see x", "y")])
    True
    """
    promise(bool(bad), "give at least one bad example.")
    trial = ValidatorTrial(
        validator,
        bad=[case_of(f"bad[{place}]", records) for place, records in enumerate(bad)],
        good=[case_of(f"good[{place}]", records) for place, records in enumerate(good)],
    )
    checks = Checks()
    for check in validator_promises.CHECKS:
        checks.make(check.__name__, partial(check, trial))
        if checks.broken and check is validator_promises.it_is_a_rule_with_a_code:
            break  # all that follows would only repeat it
    checks.judge()
    return tuple(checks.names)
