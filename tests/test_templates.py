"""A template separates what it is chosen over, whatever that is, and gives every completion back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from finetune_kit.errors import TemplateError
from finetune_kit.records import CompletionExample
from finetune_kit.templates import SEPARATORS, STOPS, PromptTemplate

# Texts made of the marks themselves and of their halves, which is where templates fail.
_PIECES = [
    *SEPARATORS,
    *STOPS,
    *(mark[: len(mark) // 2] for mark in (*SEPARATORS, *STOPS)),
    *(mark[len(mark) // 2 :] for mark in (*SEPARATORS, *STOPS)),
    *"#-=>*+&$@% \nEND",
    *(f"\n\n### {number} =>\n\n" for number in (1, 2)),
    *(f" [END {number}]" for number in (1, 2)),
    "[END 1]",
    "### 1 =>\n\n",
    "card",
    "卡",
]
HOSTILE = st.lists(st.sampled_from(_PIECES), max_size=8).map("".join)
TEXTS = HOSTILE | st.text(max_size=20)
EXAMPLES = st.lists(st.builds(CompletionExample, TEXTS, TEXTS), min_size=1, max_size=12)


@given(EXAMPLES)
def test_the_separator_stands_once_between_prompt_and_completion(examples: list[CompletionExample]) -> None:
    template = PromptTemplate.choose(examples)
    for example in examples:
        rendered = template.prompt(example.prompt) + template.completion(example.completion)
        body = rendered.removesuffix(template.stop)
        assert body.find(template.separator) == body.rfind(template.separator) == len(example.prompt)


@given(EXAMPLES)
def test_every_completion_comes_back(examples: list[CompletionExample]) -> None:
    template = PromptTemplate.choose(examples)
    for example in examples:
        written = template.completion(example.completion)
        assert written.find(template.stop) == len(written) - len(template.stop)
        assert template.parse(written) == example.completion
        assert template.parse(written + "whatever" + written) == example.completion


@given(EXAMPLES)
def test_a_template_fits_what_it_was_chosen_over(examples: list[CompletionExample]) -> None:
    template = PromptTemplate.choose(examples)
    assert [template.misfit(example) for example in examples] == [None] * len(examples)


@given(EXAMPLES, TEXTS, TEXTS)
def test_what_fits_comes_back_whatever_the_template_was_chosen_over(
    examples: list[CompletionExample], prompt: str, completion: str
) -> None:
    template = PromptTemplate.choose(examples)
    if template.misfit(CompletionExample(prompt, completion)) is None:
        assert template.prompt(prompt).partition(template.separator)[0] == prompt
        assert template.parse(template.completion(completion)) == completion


@given(EXAMPLES)
def test_the_order_of_the_examples_does_not_matter(examples: list[CompletionExample]) -> None:
    assert PromptTemplate.choose(examples) == PromptTemplate.choose(examples[::-1])


def chosen(*pairs: tuple[str, str]) -> PromptTemplate:
    return PromptTemplate.choose(CompletionExample(*pair) for pair in pairs)


@pytest.mark.parametrize(
    ("prompt", "completion", "separator", "stop"),
    [
        ("Where is it?", "track", " ->", "\n"),
        ("Two\nlines", "track", "\n\n###\n\n", "\n"),
        ("a -> b", "track", "\n\n###\n\n", "\n"),
        ("Two\nlines ending like a separator\n\n###", "x", "\n\n===\n\n", "\n"),
        ("Two\nlines", "###\n\nhalf a separator", "\n\n===\n\n", " END"),
        ("What?", "-> an arrow", "\n\n###\n\n", "\n"),
        ("What?", "two\nlines", " ->", " END"),
        ("What?", "END\nof story", " ->", "\n###\n"),
        ("What?", "two\nlines END\n###", " ->", "***"),
        ("What?", "two\nlines END\n###\nand half a mark *", " ->", "+++"),
        ("What?", "blanks at its end  ", " ->", "\n"),
    ],
)
def test_the_first_mark_that_cannot_be_mistaken_is_chosen(
    prompt: str, completion: str, separator: str, stop: str
) -> None:
    template = chosen((prompt, completion))
    assert (template.separator, template.stop) == (separator, stop)
    assert template.parse(template.completion(completion)) == completion


def test_where_all_marks_occur_a_number_is_chosen_that_does_not() -> None:
    """Also where an early row holds the number that a later one leads to."""
    rows = [("### 2 =>", "[END 2]"), ("### 1 =>", "[END 1]")]
    rows += [(f"two\nlines {mark}", "x") for mark in SEPARATORS] + [("x", f"y{mark}") for mark in STOPS]
    template = chosen(*rows)
    assert (template.separator, template.stop) == ("\n\n### 3 =>\n\n", " [END 3]")


@pytest.mark.parametrize(("completion", "leading_space"), [("yes", True), ("7", True), ("好", False), ("", False)])
def test_words_of_scripts_with_spaces_begin_with_one(*, completion: str, leading_space: bool) -> None:
    assert chosen(("?", completion)).leading_space is leading_space


@pytest.mark.parametrize("completion", ["", " ", " a", "a ", "  a  "])
@pytest.mark.parametrize("leading_space", [True, False])
def test_spaces_of_a_completion_are_its_own(*, completion: str, leading_space: bool) -> None:
    template = PromptTemplate(separator=" ->", stop="\n", leading_space=leading_space)
    assert template.parse(template.completion(completion)) == completion


def test_a_rendered_prompt_is_refused() -> None:
    template = chosen(("a", "b"))
    with pytest.raises(TemplateError, match="already ends with the separator ' ->'"):
        template.prompt(template.prompt("a"))


@given(TEXTS, TEXTS)
def test_without_marks_texts_stay_as_they_are(prompt: str, completion: str) -> None:
    bare = PromptTemplate(separator="", stop="", leading_space=False)
    assert bare.prompt(prompt) + bare.completion(completion) == prompt + completion
    assert bare.parse(completion) == completion
    assert bare.misfit(CompletionExample(prompt, completion)) is None


def test_a_misfit_is_told() -> None:
    template = chosen(("a", "b"))
    assert "the prompt holds ' ->'" in str(template.misfit(CompletionExample("a -> b", "c")))
    assert "the completion holds '\\n'" in str(template.misfit(CompletionExample("a", "b\nc")))


def test_it_survives_json_as_part_of_a_card() -> None:
    adapter = TypeAdapter(PromptTemplate)
    template = chosen(("two\nlines", "好"))
    assert adapter.validate_json(adapter.dump_json(template)) == template
