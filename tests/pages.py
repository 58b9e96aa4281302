"""Whether a page is sound HTML that runs nothing."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "hr"}
_KNOWN = """
    html head title style body main header footer section h1 h2 h3 h4 p ul li table thead tbody tr th td
    div span strong small a b bdi q code figure figcaption dl dt dd mark svg rect
"""
KNOWN = VOID | set(_KNOWN.split())
_ATTRIBUTES = """
    lang charset http-equiv content name class id scope href title dir style role aria-label aria-hidden
    viewbox preserveaspectratio width height rx x y
"""
ATTRIBUTES = set(_ATTRIBUTES.split())


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.marked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, f"<{tag}> {self.getpos()}"
        for name, value in attrs:
            assert name in ATTRIBUTES, f"{name}= {self.getpos()}"
            assert name != "href" or (value or "").startswith("#"), f"a link out of the page: {value}"
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append((value or "")[1:])
        if tag == "mark":
            self.marked.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing {self.getpos()}"
        assert self.open.pop() == tag, f"</{tag}> {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if "mark" in self.open:
            self.marked[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def checked(page: str) -> _Checker:
    """The page's texts and marks; an assertion where it is not balanced, or holds more than plain elements."""
    checker = _Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    assert set(checker.links) <= set(checker.ids)
    return checker
