"""Exact tokenizers: the published ids' numbers, whatever the text, by either package."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit._extras import installed
from finetune_kit.errors import MissingExtraError
from finetune_kit.tokens import EXACT, Piece, encoding_of, tokenizer
from finetune_kit.tokens.vocabulary import _bpe_openai, _quicktok

ENCODINGS = sorted(EXACT)
NEEDS_TOKENS = pytest.mark.skipif(
    not (installed("quicktok") or installed("bpe_openai")), reason="the extra `tokens` is not installed"
)
NEEDS_BOTH = pytest.mark.skipif(
    not (installed("quicktok") and installed("bpe_openai")), reason="only one of the two packages is installed"
)


@NEEDS_TOKENS
@pytest.mark.parametrize(
    ("encoding", "text", "tokens"),
    [
        # by tiktoken 0.14.0
        ("cl100k_base", "Where is my parcel?", 5),
        ("cl100k_base", "今天晚上吃什么好呢?", 14),
        ("o200k_base", "今天晚上吃什么好呢?", 7),
        ("cl100k_base", "so happy 😀🎉", 6),
        ("o200k_base", "", 0),
        ("o200k_base", "<|endoftext|>", 7),
    ],
)
def test_counts_are_the_published_ones(encoding: str, text: str, tokens: int) -> None:
    assert tokenizer(encoding).count(text) == tokens


@NEEDS_TOKENS
@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(deadline=None)  # the first example loads the vocabulary
@given(text=st.text())
def test_pieces_are_the_text_and_their_tokens_are_its_count(encoding: str, text: str) -> None:
    found = tokenizer(encoding)
    pieces = found.split(text)
    assert pieces is not None
    assert "".join(piece.text for piece in pieces) == text
    assert sum(piece.tokens for piece in pieces) == found.count(text) <= len(text.encode())


@NEEDS_TOKENS
def test_a_character_of_several_tokens_is_one_piece() -> None:
    assert tokenizer("cl100k_base").split("a👩") == [Piece("a", 1), Piece("👩", 3)]


@NEEDS_TOKENS
def test_half_a_surrogate_pair_is_counted_as_a_question_mark() -> None:
    found = tokenizer("o200k_base")
    assert found.count("a\ud800") == found.count("a?")
    assert found.split("\ud800") == [Piece("?", 1)]


@NEEDS_BOTH
@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(deadline=None)  # the first example loads the vocabulary
@given(text=st.text())
def test_both_packages_agree(encoding: str, text: str) -> None:
    one, other = _quicktok(encoding), _bpe_openai(encoding)
    assert one.count(text) == other.count(text)
    assert one.split(text) == other.split(text)


def test_without_a_package_an_estimate_stands_in_or_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Callable[[str], None] = lambda encoding: None  # noqa: E731
    monkeypatch.setattr("finetune_kit.tokens.vocabulary._exact", nothing)
    assert not tokenizer("o200k_base").exact
    with pytest.raises(MissingExtraError, match=r"finetune_kit\[tokens\]"):
        tokenizer("o200k_base", estimate=False)
    assert not tokenizer("r50k_base", estimate=False).exact, "no package has it, so none is asked for"


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-4-0613", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("davinci-002", "cl100k_base"),
        ("davinci", "r50k_base"),
        ("ft:gpt-4o-mini:org::1", "o200k_base"),
        ("Qwen3-8B", None),
    ],
)
def test_a_model_has_the_vocabulary_of_its_family(model: str, encoding: str | None) -> None:
    assert encoding_of(model) == encoding
