"""No text can break the markup around it, and nothing in it hides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit._html import Html, element, joined, visible
from tests.pages import checked

HOSTILE = (
    "</p><script>alert(1)</script>",
    '" onclick="x',
    "<!--",
    "]]>",
    "&lt;",
    "\0",
    "</style>",
    "javascript:alert(1)",
)
TEXTS = st.text() | st.sampled_from(HOSTILE)


@given(TEXTS, TEXTS)
def test_texts_and_attributes_are_escaped(text: str, attribute: str) -> None:
    page = element("p", text, css=attribute, attributes={"title": attribute})
    checked(page)


@given(
    TEXTS,
    st.lists(st.tuples(st.integers(-3, 20), st.integers(-3, 20)).map(lambda ends: (abs(min(ends)), abs(max(ends))))),
)
def test_a_text_with_marks_stays_sound(text: str, marks: list[tuple[int, int]]) -> None:
    checked(visible(text, marks))


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    assert "".join(checked(visible(text)).text) == text


def test_markup_is_not_escaped_twice() -> None:
    assert joined([element("b", "<"), Html("<br>"), "<"]) == "<b>&lt;</b><br>&lt;"


def test_what_one_does_not_see_is_shown_by_name() -> None:
    shown = visible("a\u200bb\u202e\x07\u00a0\n")
    assert 'title="Zero width space">U+200B<' in shown
    assert 'title="Right-to-left override">U+202E<' in shown
    assert "␇" in shown
    assert "U+00A0" in shown
    assert "↵" in shown


def test_joiners_within_emoji_and_indic_words_stay() -> None:
    assert visible("👩\u200d👧 क्\u200dष") == "👩\u200d👧 क्\u200dष"
    assert "U+200D" in visible("a\u200db")


def test_spaces_are_shown_at_the_ends_and_in_marks_only() -> None:
    assert "".join(checked(visible(" a b ")).text) == "·a b·"
    assert checked(visible("a b c", [(1, 2)])).marked == ["·"]
    assert visible(" a", at_ends=False) == " a"


def test_marks_are_where_they_were_asked_for() -> None:
    assert checked(visible("one two three", [(4, 7)])).marked == ["two"]
