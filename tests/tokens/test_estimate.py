"""Estimates: within the error that they state, on texts of which they know nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import templates
from finetune_kit._extras import installed
from finetune_kit.tokens import EXACT, Estimate, tokenizer

ENGLISH = (
    "The committee met twice last autumn to decide whether the old bridge should be mended or replaced. Nobody had "
    "expected the river to rise so early, and the engineers asked for another month. Prices of steel went up by 12.5%."
)
CHINESE = (
    "委员会去年秋天开了两次会,讨论旧桥是修理还是重建。谁也没有想到河水涨得这么早,工程师们要求再给一个月时间。"
    "钢材价格上涨了百分之十二点五,所以预算也需要重新计算。"
)
CODE = Path(templates.__file__).read_text(encoding="utf-8")


@pytest.mark.skipif(
    not (installed("quicktok") or installed("bpe_openai")), reason="the extra `tokens` is not installed"
)
@pytest.mark.parametrize("encoding", sorted(EXACT))
@pytest.mark.parametrize("text", [ENGLISH, CHINESE, CODE], ids=["English", "Chinese", "code"])
def test_the_truth_lies_within_the_stated_error(encoding: str, text: str) -> None:
    estimate = Estimate(encoding)
    counted = estimate.count(text)
    assert counted * estimate.low <= tokenizer(encoding).count(text) <= counted * estimate.high


@given(text=st.text(), encoding=st.sampled_from(["o200k_base", "cl100k_base", "r50k_base", None]))
def test_never_more_tokens_than_bytes_and_none_only_for_nothing(text: str, encoding: str | None) -> None:
    counted = Estimate(encoding).count(text)
    assert 0 <= counted <= len(text.encode())
    assert (counted == 0) == (not text)


def test_an_unknown_vocabulary_is_said_to_be_unknown_and_has_a_wider_error() -> None:
    known, unknown = Estimate("cl100k_base"), Estimate(None)
    assert "unknown" in unknown.name
    assert unknown.low < known.low < 1 < known.high < unknown.high
