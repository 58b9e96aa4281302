"""On thousands of clean rows the rules about content say nothing."""

from __future__ import annotations

from itertools import islice

import pytest

from finetune_kit.records import ChatExample, CompletionExample
from finetune_kit.validators import (
    BoilerplateAnswers,
    ControlCharacters,
    HtmlRemains,
    InvisibleCharacters,
    Mojibake,
    PersonalData,
    Placeholders,
    RepeatedAnswers,
    Secrets,
    validate,
)
from finetune_kit.validators.protocols import AnyValidator
from tests.benchmarks.reading import made
from tests.rows_of import chats, completions, conversation, rows_of

RULES: tuple[AnyValidator, ...] = (
    Mojibake(),
    ControlCharacters(),
    InvisibleCharacters(),
    HtmlRemains(),
    Placeholders(),
    PersonalData(),
    Secrets(),
    BoilerplateAnswers(),
    RepeatedAnswers(),
)

# Texts with signs, numbers and words that the rules look for, all of them honest.
HONEST = (
    "Your order 20240105-{0} of {0} pieces at 1,299.00 € ships on 2024-01-05 at 12:30.",
    "If a < b && b > c, then x[{0}] = {{a: {0}}}; see `<b>` and “AT&T”.",
    "I'm sorry that parcel no. {0} is late — it's at the neighbour's (2nd floor).",
    "Write to support@shop.com or visit https://shop.com/help?id={0}&lang=en#top.",
    "订单{0}将于2024年1月5日发货，如有问题请致电400-820-8820。",
    "对不起，第{0}号包裹迟到了。抱歉让您久等！密码可在设置中修改。",
    "Café №{0}: naïve Übergrößen, 30 °C, “señor” 👩\u200d🔧 ☎️ 1️⃣",
    "To reset your password, press [Enter] and follow step {0} of the to-do list.",
    "The matrix \\begin{{array}}{{c}} \\frac{{1}}{{{0}}} \\end{{array}} has rank 1.\tOK?\r\nYes.",
    "می\u200cخواهم {0} شماره سفارش",
    "Part A-{0}-XJ 900 S/N 12-34-56, HTTP/2 and USB-C; IDs RFC2606, ISO8601, UTF8.",
    "SELECT * FROM orders WHERE id = {0} AND state != 'NULL';",
)


def honest(count: int) -> list[str]:
    return [HONEST[number % len(HONEST)].format(number) for number in range(count)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_nothing_is_found_in_made_up_rows(rule: AnyValidator) -> None:
    rows = completions(*islice(made(10_000), 10_000))
    assert validate(rows, [rule]).counts == {}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_nothing_is_found_in_honest_texts_of_every_kind(rule: AnyValidator) -> None:
    texts = honest(3_000)
    pairs = [
        CompletionExample(text, f"{answer} So it is.", {"page": number})
        for number, (text, answer) in enumerate(zip(texts, reversed(texts), strict=True))
    ]
    talks: list[ChatExample] = [conversation(("user", pair.prompt), ("assistant", pair.completion)) for pair in pairs]
    for rows in (rows_of(pairs), chats(*talks)):
        report = validate(rows, [rule])
        assert report.counts == {}, report.summary()
