"""Stock answers of language models are found in answers, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given

from finetune_kit.records import Message, PreferenceExample
from finetune_kit.rows import RowsBuilder
from finetune_kit.validators import BoilerplateAnswers, validate
from finetune_kit.validators.boilerplate_answers import find_boilerplate
from tests.found_by import issues_in, texts_with
from tests.rows_of import chats, completions, conversation

SELF = "in the answer a language model speaks of itself"
REFUSAL = "the answer is a refusal in the stock words of a language model"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("As an AI language model, I have no opinions.", SELF),
        ("As a large language model I have no opinions.", SELF),
        ("Well, as an AI, I don't eat.", SELF),
        ("I'm just an AI and cannot feel.", SELF),
        ("I am an AI language model.", SELF),
        ("作为一个AI语言模型，我没有个人感受。", SELF),
        ("作为一名人工智能助手，我没有感受。", SELF),
        ("作为语言模型，我没有感受。", SELF),
        ("I'm sorry, but I can't assist with that.", REFUSAL),
        (" I’m sorry, but I cannot help with that request.", REFUSAL),
        ("Sorry, I am unable to provide that information.", REFUSAL),
        ("I cannot fulfill this request.", REFUSAL),
        ("I apologize, but I can't provide this.", REFUSAL),
        ("抱歉，我无法回答这个问题。", REFUSAL),
        ("很抱歉，我不能提供相关信息。", REFUSAL),
        ("对不起，我无法满足您的要求。", REFUSAL),
    ],
)
def test_stock_answers_are_a_warning(answer: str, message: str) -> None:
    [issue] = issues_in(BoilerplateAnswers(), "It is on its way.", answer)
    assert (issue.row, issue.field, issue.message) == (1, "completion", message)


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry to hear that. It is on its way.",
        "I'm sorry, but your parcel is late.",
        "Sorry for the delay!",
        "I cannot wait to see you.",
        "Our AI assistant is there for you around the clock.",
        "The patient cannot provide a sample.",
        "GPT is a language model.",
        "As an air carrier, we take pets.",
        "I am Mia, an AI assistant by Shop Ltd.",
        "我是小明，由某公司训练的AI助手。",
        "抱歉让您久等了，包裹明天送到。",
        "无法开机时，请长按电源键。",
        "作为会员，您可以免费退货。",
    ],
)
def test_polite_and_factual_answers_are_left_alone(answer: str) -> None:
    assert not issues_in(BoilerplateAnswers(), answer)


def test_only_answers_count() -> None:
    pairs = ("As an AI language model, what do you think?", "It is late."), ("Say it.", "As an AI, no.")
    assert [issue.row for issue in validate(completions(*pairs), [BoilerplateAnswers()]).issues] == [1]
    talk = conversation(("system", "As an AI, be kind."), ("user", "I can't help it."), ("assistant", "Why not?"))
    assert not validate(chats(talk), [BoilerplateAnswers()]).issues


def test_the_answer_that_is_not_preferred_may_refuse() -> None:
    builder = RowsBuilder("preference")
    for line, answers in enumerate([("Hi.", "I cannot help."), ("I cannot help.", "Hi.")], 1):
        preferred, other = ((Message("assistant", answer),) for answer in answers)
        builder.add(PreferenceExample((Message("user", f"Hello {line}"),), preferred, other), line=line)
    [issue] = validate(builder.build(), [BoilerplateAnswers()]).issues
    assert (issue.row, issue.field) == (1, "preferred_output[0].content")


@given(
    texts_with(
        "As an AI", "as a language model", "I'm sorry, but I can't help", "抱歉，", "我无法回答", "作为一个AI", "\n\n"
    )
)
def test_an_answer_is_found_in_completions_as_in_conversations(text: str) -> None:
    found = [
        len(validate(rows, [BoilerplateAnswers()]).issues)
        for rows in (completions(("Well?", text)), chats(conversation(("user", "Well?"), ("assistant", text))))
    ]
    assert found == [int(find_boilerplate(text) is not None)] * 2
