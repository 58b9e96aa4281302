"""What a web page left behind is found, and not what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given

from finetune_kit.validators import HtmlRemains
from finetune_kit.validators.html_remains import find_remains
from finetune_kit.validators.texts import without_code
from tests.found_by import found_by, issues_in, texts_with


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<p>At your neighbour's.</p>", "</p>"),
        ("At your<br>neighbour's.", "<br>"),
        ("At your<BR />neighbour's.", "<BR />"),
        ('See <a href="https://shop.test/faq">our page</a>.', '<a href="https://shop.test/faq">'),
        ("Tom &amp; Jerry", "&amp;"),
        ("It&#39;s here.", "&#39;"),
        ("It&#x2019;s here.", "&#x2019;"),
        ("10&nbsp;€", "&nbsp;"),
        ("caf&eacute;", "&eacute;"),
        ("<!-- begin --> Hello", "<!--"),
        ("价格&nbsp;10元</span>", "</span>"),
        ('See <a class="html" href="faq.html">here</a>, or shop.com/faq.html.', '<a class="html" href="faq.html">'),
        ("They react to it.<br>", "<br>"),
    ],
)
def test_remains_are_a_warning_at_their_place(text: str, fault: str) -> None:
    [issue] = issues_in(HtmlRemains(), "At your neighbour's.", text)
    assert issue.row == 1
    assert issue.span is not None
    assert text[slice(*issue.span)] == fault


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "if a <b and c> d",
        "x<y, y>z",
        "I <3 you",
        "Call <tool> with <name> and </tool>",
        "<thinking>Let me see.</thinking>",
        "AT&T and R&D; Tom & Jerry &co",
        "std::vector<int> and List<String>",
        "```\n<p>Hello</p>&nbsp;\n```",
        "Use `<br>` here.",
        "In HTML, <p>Hello</p> is a paragraph.",
        "The tag is closed by </div> in XML too.",
        "用HTML写一个段落：<p>你好</p>",
        "https://shop.test/?a=1&b=2",
        "<|im_start|>",
        "<p",
    ],
)
def test_comparisons_code_and_placeholders_are_left_alone(text: str) -> None:
    assert not issues_in(HtmlRemains(), text)


@given(texts_with("<p>", "</p>", "<br/>", "&nbsp;", "&#39;", "&amp;", "<!--", "<a href='x'>", "<tool>", "&;", "</"))
def test_a_text_is_found_if_and_only_if_there_are_remains_outside_code(text: str) -> None:
    found = found_by(HtmlRemains(), [text])
    if not any(word in text.lower() for word in ("xml", "css", "jsx", "markup")):
        assert found == [find_remains(without_code(text)) is not None]
