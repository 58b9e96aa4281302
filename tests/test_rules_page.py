"""The page of rules and the rules' docstrings say the same, and every rule says enough."""

from __future__ import annotations

import pytest

from finetune_kit.validators import AnyValidator
from finetune_kit.validators.rule_text import rule_text
from tests.rules_page import COMMAND, PAGE, page, severities, shipped_rules

RULES = shipped_rules()


def test_the_page_is_what_the_docstrings_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"docs/rules.md is out of date: run {COMMAND}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_rule_says_what_it_means_with_a_bad_and_a_good_example(rule: AnyValidator) -> None:
    text = rule_text(rule, rule.code)
    assert text.meaning.endswith(".")
    assert text.bad
    assert text.good
    assert severities(rule), f"add bad examples of {rule.code} to tests/testing/rule_examples.py"


def test_there_are_as_many_rules_as_were_promised() -> None:
    assert len(RULES) >= 25
