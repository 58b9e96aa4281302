"""What is trained on is what is shown so, to the character, and nothing in it steers the terminal or the page."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import Dataset
from finetune_kit._extras import installed
from finetune_kit.errors import ParameterError, StorageError
from finetune_kit.preview import SHOWN_CHARACTERS, Preview, preview
from finetune_kit.testing import MemoryBackend
from finetune_kit.tokens import TEXTS, HostedTokens
from tests.rows_of import PAIRS, chats, completions, conversation
from tests.tokens.words import Words

NEEDS_TOKENS = pytest.mark.skipif(
    not (installed("quicktok") or installed("bpe_openai")), reason="the extra `tokens` is not installed"
)
CHAT = {
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Where?"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": "An old answer.", "weight": 0},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": "Right <b>here</b>."},
    ]
}


class Page(HTMLParser):
    """The texts of a page by the class of the element that they are in, and the names of all elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.texts: dict[str, str] = {}
        self._classes: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag == "span":
            self._classes.append((dict(attrs).get("class") or "").partition(" ")[0])

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._classes.pop()

    def handle_data(self, data: str) -> None:
        if self._classes:
            self.texts[self._classes[-1]] = self.texts.get(self._classes[-1], "") + data


def test_the_template_is_the_one_of_the_training() -> None:
    split = Dataset.from_records(PAIRS).split(0.8)
    backend = MemoryBackend()
    template = split.train(backend=backend).wait().card.template
    assert template is not None
    (row,) = split.preview(1).rows
    example: Any = split.training[0]
    assert "".join(span.text for span in row.spans) == template.prompt(example.prompt) + template.completion(
        example.completion
    )
    assert row.trained_text == template.completion(example.completion)


def test_only_answers_of_weight_1_are_trained_on() -> None:
    (row,) = Dataset.from_records([CHAT]).preview().rows
    assert row.trained_text == "Right <b>here</b>."
    assert row.tokens is None, "nobody asked for a model"


def test_plain_text_marks_what_is_trained_on_and_where_each_turn_begins() -> None:
    shown = Dataset.from_records([CHAT]).preview(1).plain()
    assert "system: Be kind.\nuser: Where?[a part that is not text]\nassistant: An old answer.\n" in shown
    assert "assistant: ⟦Right <b>here</b>.⟧" in shown
    assert shown.startswith("1 of 1 training examples, by texts")


@NEEDS_TOKENS
def test_with_a_model_each_token_is_told_from_the_next_and_counted() -> None:
    data = Dataset.from_records([CHAT])
    shown = data.preview(1, model="gpt-4.1-mini")
    assert shown.tokenizer == "o200k_base"
    assert "⟦Right| <|b|>|here|</|b|>.⟧" in shown.plain()
    (row,) = shown.rows
    counted = data.token_counts("gpt-4.1-mini")
    trained, total = counted.trained.value, counted.total.value
    assert list(row.tokens or ()) == [trained, total]
    assert f"record 1: {trained:.0f} of {total:.0f} tokens are trained on" in shown.plain()


def test_without_its_tokenizer_a_model_is_shown_by_texts_and_that_is_said() -> None:
    shown = Dataset.from_records(PAIRS).preview(1, model="davinci", host="openai")
    assert shown.tokenizer is None
    assert "by texts" in str(shown)


def test_the_page_holds_the_same_text_and_no_markup_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "preview.html"
    page = Dataset.from_records([CHAT]).preview(1).to_html(path)
    assert path.read_text(encoding="utf-8") == page
    read = Page(page)
    assert read.texts["trained"].endswith("Right <b>here</b>.")
    assert "b" not in read.names
    assert "script" not in read.names
    assert "http" not in page, "it needs nothing from anywhere"


def test_a_page_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="none"):
        Dataset.from_records(PAIRS).preview(1).to_html(tmp_path / "none" / "preview.html")


def test_on_a_terminal_there_are_colours_unless_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Dataset.from_records(PAIRS).preview(1)
    assert str(shown) == repr(shown) == shown.plain()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert str(shown) == shown.coloured() != shown.plain()
    monkeypatch.setenv("NO_COLOR", "1")
    assert str(shown) == shown.plain()


def test_a_very_long_example_is_cut_off_with_what_is_missing() -> None:
    shown = preview(completions(("word " * 10_000, "answer")), HostedTokens(Words()), n=1, template=None)
    assert "more characters" in shown.plain()
    assert len(shown.plain()) < 3 * SHOWN_CHARACTERS
    assert "more characters" in shown._repr_html_()


@pytest.mark.parametrize("n", [0, -1, 1.5, "three"])
def test_a_number_of_examples_is_at_least_one(n: Any) -> None:
    with pytest.raises(ParameterError, match="n="):
        Dataset.from_records(PAIRS).split(0.8).preview(n)


def test_more_examples_than_there_are_are_all() -> None:
    assert len(Dataset.from_records(PAIRS).preview(1_000).rows) == len(PAIRS)


@given(question=st.text(max_size=30), answer=st.text(max_size=30))
def test_no_text_steers_the_terminal_or_the_page(question: str, answer: str) -> None:
    shown: Preview = preview(chats(conversation(("user", question), ("assistant", answer))), TEXTS, n=1, template=None)
    plain = shown.plain()
    assert all(sign.isprintable() or sign == "\n" for sign in plain)
    (row,) = shown.rows
    assert row.trained_text == answer
    read = Page(shown._repr_html_())
    assert read.names <= {"div", "style", "p", "span", "pre"}
    coloured = shown.coloured()
    for code in ("\x1b[30;42m", "\x1b[30;102m", "\x1b[2m", "\x1b[36m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert "\x1b" not in coloured
