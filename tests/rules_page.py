"""The page of all rules, written from their docstrings: `python -m tests.rules_page`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from finetune_kit import validators
from finetune_kit.testing.hostile_examples import hostile_rows
from finetune_kit.testing.validator_trial import case_of, issues_of
from finetune_kit.validators import AnyValidator, SetValidator, Severity, Validator, default_rules
from finetune_kit.validators.leading_space import OLD_MODELS
from finetune_kit.validators.plugins import BrokenPlugin
from finetune_kit.validators.rule_text import COMMON, rule_text
from tests.testing.rule_examples import EXAMPLES, SOURCE, Examples

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"
COMMAND = "python -m tests.rules_page"

_HEAD = """\
# Rules

What `data.validate()` asks when no rules are named. An **error** is refused by `train`, a **warning** makes the model
worse, a **note** is worth knowing. Rules marked with * need to see the whole set. [plugins.md](plugins.md) tells how to
write rules of your own, [reports.md](reports.md) what becomes of the findings.

This page is written from the rules' docstrings by `{command}`.

| rule | finds | asks for |
|---|---|---|
"""
_NOUNS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_HOSTS = ("openai", "azure", "dashscope", "local")
HOSTILE = hostile_rows()


def shipped_rules() -> list[AnyValidator]:
    """Each rule of the package once, by code: the default ones, and those that are only there to be named."""
    found: dict[str, AnyValidator] = {BrokenPlugin.code: BrokenPlugin()}
    for host in _HOSTS:
        for model in (None, OLD_MODELS[0]):
            found |= {rule.code: rule for rule in default_rules(host, model=model, source=SOURCE)}
    for name in validators.__all__:
        named = getattr(validators, name)
        code = getattr(named, "code", None)
        if isinstance(named, type) and isinstance(code, str) and code not in found:
            rule = named()
            if isinstance(rule, Validator | SetValidator):
                found[code] = rule
    return sorted(found.values(), key=lambda rule: rule.code)


def severities(rule: AnyValidator) -> list[Severity]:
    """Which severities a rule gives, tried out on its bad examples and on hostile ones."""
    examples = EXAMPLES.get(rule.code, Examples((), ()))
    tried = examples.rule or rule
    cases = [case_of("bad", records).rows for records in examples.bad]
    given = {issue.severity for rows in (*cases, *HOSTILE.values()) for issue in issues_of(tried, rows)}
    return [severity for severity in Severity if severity in given]


def page() -> str:
    """The whole page."""
    rules = shipped_rules()
    return (
        "".join([_HEAD.format(command=COMMAND), *map(_row, rules), "\n", *_details(rules), *_others()]).rstrip("\n")
        + "\n"
    )


def _row(rule: AnyValidator) -> str:
    text = rule_text(rule, rule.code)
    star = "*" if isinstance(rule, SetValidator) else ""
    return f"| [`{rule.code}`](#{rule.code}){star} | {_kinds(rule)} | {_cell(text.gist)} |\n"


def _details(rules: Iterable[AnyValidator]) -> Iterator[str]:
    for rule in rules:
        text = rule_text(rule, rule.code)
        yield f"## {rule.code}\n\n{text.meaning}\n\n"
        yield f"- Finds: {_kinds(rule)}\n- Class: `{type(rule).__name__}`\n"
        yield f"- Bad: {text.bad}\n- Good: {text.good}\n\n"


def _others() -> Iterator[str]:
    yield "## Codes that are no rule's\n\n"
    yield from (f"- `{code}`: {meaning}\n" for code, meaning in sorted(COMMON.items()))


def _kinds(rule: AnyValidator) -> str:
    return ", ".join(_NOUNS[severity] for severity in severities(rule))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
