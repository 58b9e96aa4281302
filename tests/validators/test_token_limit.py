"""Examples too long for the model: counted near the limit only, and no other example is meant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit._extras import installed
from finetune_kit.dataset import Dataset, Split
from finetune_kit.errors import ValidationError
from finetune_kit.hosts import FileRules, HostProfile, ModelFacts, host_profile
from finetune_kit.records import ChatExample, CompletionExample, Message
from finetune_kit.templates import PromptTemplate
from finetune_kit.testing import MemoryBackend
from finetune_kit.testing.memory_backend import BASE
from finetune_kit.tokens import Estimate, ExampleTokens, HostedTokens
from finetune_kit.validators import LongAnswer, Severity, TokenLimit, validate
from tests.rows_of import PAIRS, chats, completions, conversation, rows_of
from tests.tokens.words import Words

NEEDS_TOKENS = pytest.mark.skipif(
    not (installed("quicktok") or installed("bpe_openai")), reason="the extra `tokens` is not installed"
)
WORDS = HostedTokens(Words())
OPENAI = host_profile("openai")


def limited(limit: int, tokens: ExampleTokens = WORDS, template: PromptTemplate | None = None) -> TokenLimit:
    return TokenLimit(limit, "m on h", lambda: tokens, "cuts off the rest", date(2026, 11, 22), template)


def words(number: int) -> str:
    return "word " * number


def test_an_example_over_the_limit_is_an_error_with_what_the_host_does() -> None:
    report = validate(completions(("short", "one"), (words(600), words(400)), (words(599), words(400))), [limited(999)])
    (issue,) = report.issues
    assert (issue.row, issue.severity, issue.code) == (1, Severity.ERROR, "token_limit")
    assert issue.message == "the example is longer than 999 tokens, the limit of m on h for each single line"
    assert (
        "how many lines there are does not matter. The host cuts off the rest. The limit was looked up on 2026-11-22."
        in issue.hint
    )


def test_an_example_exactly_at_the_limit_is_fine() -> None:
    rule = limited(1_000)
    assert validate(completions((words(600), words(400))), [rule]).issues == ()
    assert validate(completions((words(600), words(401))), [rule]).counts == {"token_limit": 1}


def test_what_the_template_adds_counts_too() -> None:
    template = PromptTemplate(separator=" ->", stop=" END", leading_space=True)
    rows = completions((words(600), words(400)))
    assert validate(rows, [limited(1_001, template=template)]).counts == {"token_limit": 1}
    assert validate(rows, [limited(1_002, template=template)]).issues == ()


def test_nothing_is_counted_of_ordinary_rows() -> None:
    def never() -> ExampleTokens:
        raise AssertionError("counted")

    rows = completions(*PAIRS)
    assert validate(rows, [TokenLimit(2_048, "m", never), LongAnswer(2_048, "m", never)]).issues == ()


def test_metadata_does_not_count() -> None:
    rows = rows_of([CompletionExample("a", "b", {"note": words(5_000)})])
    assert validate(rows, [limited(100 + 320)]).issues == ()


def test_an_estimate_gives_a_warning_that_tells_how_to_be_sure() -> None:
    rows = completions((words(1_000), "short"))
    (issue,) = validate(rows, [limited(900, HostedTokens(Estimate("o200k_base")))]).issues
    assert issue.severity is Severity.WARNING
    assert "may be longer" in issue.message
    assert "finetune_kit[tokens]" in issue.hint
    assert validate(rows, [limited(5_000, HostedTokens(Estimate("o200k_base")))]).issues == ()


def test_a_long_answer_is_a_warning() -> None:
    rule = LongAnswer(100, "m on h", lambda: WORDS)
    told = conversation(("user", "hi"), ("assistant", words(101)))
    fine = conversation(("user", words(500)), ("assistant", words(100)), ("user", "go on"), ("assistant", words(100)))
    (issue,) = validate(chats(told, fine), [rule]).issues
    assert (issue.row, issue.severity, issue.code) == (0, Severity.WARNING, "long_answer")
    assert "the 100 tokens that m on h can write" in issue.message


@given(sizes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=30), limit=st.integers(1, 100))
def test_the_rows_over_the_limit_are_found_and_no_others(sizes: list[tuple[int, int]], limit: int) -> None:
    rows = completions(*((words(one), words(other)) for one, other in sizes))
    found = {issue.row for issue in validate(rows, [limited(limit)]).issues}
    assert found == {row for row, (one, other) in enumerate(sizes) if one + other > limit}
    long = {issue.row for issue in validate(rows, [LongAnswer(limit, "m", lambda: WORDS)]).issues}
    assert long == {row for row, (_, other) in enumerate(sizes) if other > limit}


# by host and model


@pytest.mark.parametrize(
    ("host", "model", "limit", "whose"),
    [
        ("openai", None, 65_536, "every model on openai"),
        ("openai", "gpt-4.1-mini", 65_536, "gpt-4.1-mini-2025-04-14 on openai"),
        ("openai", "davinci", 2_048, "davinci on openai"),
        ("local", None, 2_048, "every model on local"),
        ("local", "davinci", 2_048, "smollm2-135m on local"),
    ],
)
def test_the_limit_is_that_of_the_host_and_model(host: str, model: str | None, limit: int, whose: str) -> None:
    rule = TokenLimit.of(host_profile(host), model)
    assert rule is not None
    assert (rule.limit, rule.whose) == (limit, whose)


def test_where_no_limit_is_known_there_is_no_rule() -> None:
    unknown: list[tuple[FileRules, str | None]] = [
        (host_profile("nebius"), None),
        (host_profile("azure"), "gpt-4.1"),
        (OPENAI, "somebody's own"),
        (FileRules.model_validate(OPENAI.model_dump(include=set(FileRules.model_fields))), None),
    ]
    for host, model in unknown:
        assert TokenLimit.of(host, model) is None
        assert LongAnswer.of(host, model) is None
    answers = LongAnswer.of(OPENAI, "gpt-4o-mini")
    assert answers is not None
    assert answers.limit == 16_384


@NEEDS_TOKENS
def test_by_default_a_manual_in_one_line_is_refused_for_openai() -> None:
    manual = ChatExample((Message("user", words(70_000)), Message("assistant", "Read it.")))
    data = Dataset.from_records([manual.content(), *(_chat(number) for number in range(12))])
    report = data.validate()
    assert [issue.row for issue in report.errors if issue.code == "token_limit"] == [0]
    assert not [issue for issue in data.validate(host="azure").issues if issue.code == "token_limit"], "not on file"


def _chat(number: int) -> dict[str, object]:
    turns = [{"role": "user", "content": f"Where is parcel {number}?"}, {"role": "assistant", "content": "Here."}]
    return {"messages": turns}


# the founding tool dropped an innocent row and kept the long one, since it took positions for labels


def test_a_long_example_after_dropped_duplicates_is_the_one_that_is_named() -> None:
    pairs = [("Where?", "Here."), ("Where?", "Here."), *PAIRS[:5], ("long " + words(900), "Here."), *PAIRS[5:]]
    data = Dataset.from_records(pairs).without_duplicates()
    (issue,) = validate(data.rows, [limited(500)]).issues
    assert issue.row is not None
    named = data[issue.row]
    assert isinstance(named, CompletionExample)
    assert named.prompt.startswith("long ")
    assert issue.origin is not None
    assert issue.origin.line == 8, "its place among the records, before any was left out"


# the door of train


class Short(MemoryBackend):
    """A backend whose model takes 40 tokens of each example."""

    @property
    def profile(self) -> HostProfile:
        facts: ModelFacts = (
            super().profile.models[BASE].model_copy(update={"training_context_tokens": 40, "tokenizer": "o200k_base"})
        )
        return super().profile.model_copy(update={"models": {BASE: facts}})


@NEEDS_TOKENS
def test_train_refuses_an_example_that_is_too_long_for_its_model() -> None:
    split = Split(Dataset.from_records([*PAIRS, (words(60), "track")]))
    with pytest.raises(ValidationError, match="longer than 40 tokens, the limit of memory-1 on memory"):
        split.train(backend=Short())
    assert Split(Dataset.from_records(PAIRS)).train(backend=Short()).wait().status == "succeeded"


def test_an_estimate_does_not_keep_anybody_from_training(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Callable[[str], None] = lambda encoding: None  # noqa: E731
    monkeypatch.setattr("finetune_kit.tokens.vocabulary._exact", nothing)
    split = Split(Dataset.from_records([*PAIRS, (words(60), "track")]))
    assert split.train(backend=Short()).wait().status == "succeeded"
