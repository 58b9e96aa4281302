"""What a model will be trained on, token by token, before anything is uploaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

from finetune_kit.counts import rendered
from finetune_kit.errors import StorageError
from finetune_kit.rows import Origin, Rows
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import ExampleTokens, Span, Use

SHOWN_CHARACTERS = 4_000
"""Of each example."""

_ANSI: dict[Use, tuple[str, str]] = {
    "trained": ("\x1b[30;42m", "\x1b[30;102m"),
    "context": ("\x1b[2m", "\x1b[2m"),
    "special": ("\x1b[36m", "\x1b[36m"),
}
"""For every other token, so that one is told from the next."""
_RESET = "\x1b[0m"
_LEGEND: dict[Use, str] = {
    "trained": "trained on",
    "context": "read, not trained on",
    "special": "put there around each message",
}
_STYLE = """
.ftk-preview{font:14px/1.6 system-ui,sans-serif;color:#1f2328;background:#fff;padding:1em;border-radius:6px}
.ftk-preview pre{white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.7 ui-monospace,monospace;margin:.3em 0 1.2em}
.ftk-preview .trained{background:#aceebb}.ftk-preview .trained.odd{background:#6fdd8b}
.ftk-preview .context{color:#59636e}.ftk-preview .context.odd{background:#f0f2f4}
.ftk-preview .special{color:#0550ae;font-size:85%}.ftk-preview .more{color:#9a6700}
.ftk-preview .legend span{padding:.1em .5em;margin-right:.6em;border-radius:3px}
@media (prefers-color-scheme:dark){.ftk-preview{color:#e6edf3;background:#0d1117}
.ftk-preview .trained{background:#0f5323}.ftk-preview .trained.odd{background:#1a7f37}
.ftk-preview .context{color:#9198a1}.ftk-preview .context.odd{background:#1c2128}
.ftk-preview .special{color:#79c0ff}.ftk-preview .more{color:#d29922}}
"""


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One example as the model sees it."""

    row: int
    """Index in the training set."""
    origin: Origin
    spans: tuple[Span, ...]
    """In order, each token for itself where tokens are known."""

    @property
    def trained_text(self) -> str:
        """All that the model learns to write, one after another."""
        return "".join(span.text for span in self.spans if span.use == "trained")

    @property
    def tokens(self) -> tuple[int, int] | None:
        """How many are trained on, and how many there are; None where tokens are not known."""
        if any(span.text and span.tokens is None for span in self.spans):
            return None
        counted = [(span.use == "trained", (span.tokens or 0) + span.extra_tokens) for span in self.spans]
        return sum(number for trained, number in counted if trained), sum(number for _, number in counted)


@dataclass(frozen=True, slots=True)
class Preview:
    """The first examples of a training set, with what is trained on set off from what is only read.

    Printed on a terminal it is coloured, unless NO_COLOR is set; elsewhere what is trained on stands in ⟦ ⟧.
    """

    rows: tuple[PreviewRow, ...]
    of: int
    """How many examples there are."""
    tokenizer: str | None
    """Whose tokens are shown; None where only texts are."""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        return self.coloured() if colours else self.plain()

    def plain(self) -> str:
        """With ⟦ ⟧ around what is trained on and | between its tokens."""
        return self._told("⟦trained on⟧, the rest is only read", _plain)

    def coloured(self) -> str:
        """With the colours of terminals, tokens in two shades by turns."""
        legend = ", ".join(f"{_ANSI[use][0]}{told}{_RESET}" for use, told in _LEGEND.items())
        return self._told(legend, _coloured)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """One page that needs nothing else, written to `path` where that is given."""
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>What is trained on</title></head>'
            f"<body>{self._repr_html_()}</body></html>\n"
        )
        if path is not None:
            try:
                Path(path).write_text(page, encoding="utf-8")
            except OSError as error:
                raise StorageError(f"{path}: the page cannot be written: {error.strerror}.") from error
        return page

    def _repr_html_(self) -> str:
        legend = "".join(f'<span class="{use}">{told}</span>' for use, told in _LEGEND.items())
        examples = "".join(f"<div>{escape(_title(row))}</div><pre>{_html(row)}</pre>" for row in self.rows)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f'<div class="ftk-preview"><style>{_STYLE}</style><p>{escape(self._title)}</p>'
            f'<p class="legend">{legend}</p>{examples}{notes}</div>'
        )

    def _told(self, legend: str, draw: Callable[[PreviewRow], str]) -> str:
        rows = (f"\n{_title(row)}\n{draw(row)}" for row in self.rows)
        return "\n".join((self._title, legend, *rows, *(f"\n{note}" for note in self.notes)))

    @property
    def _title(self) -> str:
        how = "by texts" if self.tokenizer is None else f"by tokens ({self.tokenizer})"
        return f"{len(self.rows):,} of {self.of:,} training examples, {how}"


def preview(
    rows: Rows, tokens: ExampleTokens, *, n: int, template: PromptTemplate | None, notes: Iterable[str] = ()
) -> Preview:
    """The first `n` rows as `tokens` takes them apart, completions by `template`."""
    shown = tuple(
        PreviewRow(row, rows.origin(row), tuple(tokens.spans(rendered(example, template))))
        for row, example in enumerate(rows[:n])
    )
    known = any(span.tokens for row in shown for span in row.spans)
    return Preview(shown, len(rows), tokens.name if known else None, tuple(notes))


def _title(row: PreviewRow) -> str:
    counted = row.tokens
    return str(row.origin) + ("" if counted is None else f": {counted[0]:,} of {counted[1]:,} tokens are trained on")


def _parts(row: PreviewRow) -> Iterator[tuple[Use, str, list[str]]]:
    """What is shown: how each part is used, where it is, and its tokens; cut off where it gets too long to look at."""
    left = SHOWN_CHARACTERS
    for (use, where), spans in groupby(row.spans, key=lambda span: (span.use, span.where)):
        tokens: list[str] = []
        for span in spans:
            text = "[a part that is not text]" if span.uncounted else _visible(span.text[:left])
            left -= len(span.text)
            if text:
                tokens.append(text)
            if left < 0:
                break
        if tokens:
            yield use, where, tokens
        if left < 0:
            return


def _more(row: PreviewRow) -> str:
    left_out = sum(len(span.text) for span in row.spans) - SHOWN_CHARACTERS
    return f" … and {left_out:,} more characters" if left_out > 0 else ""


def _visible(text: str) -> str:
    """Nothing in it that a terminal would obey or nobody would see; line breaks stay, and are marked."""
    if text.isprintable():
        return text
    shown = (
        sign if sign.isprintable() else "⏎\n" if sign == "\n" else sign.encode("unicode_escape").decode()
        for sign in text
    )
    return "".join(shown)


def _around(use: Use, where: str, text: str) -> str:
    """A role begins a line of its own, and so does each part of a tool."""
    if use == "special":
        return f"\n{text}: " if where.endswith(".role") else text
    return f"\n{text}" if where.startswith(("tools", "functions")) else text


def _plain(row: PreviewRow) -> str:
    told = (
        f"⟦{'|'.join(tokens)}⟧" if use == "trained" else _around(use, where, "".join(tokens))
        for use, where, tokens in _parts(row)
    )
    return "".join(told).lstrip("\n") + _more(row)


def _coloured(row: PreviewRow) -> str:
    told: list[str] = []
    for use, where, tokens in _parts(row):
        shades = _ANSI[use]
        text = "".join(f"{shades[number % 2]}{token}{_RESET}" for number, token in enumerate(tokens))
        told.append(_around(use, where, text))
    return "".join(told).lstrip("\n") + _more(row)


def _html(row: PreviewRow) -> str:
    told: list[str] = []
    for use, where, tokens in _parts(row):
        text = "".join(
            f'<span class="{use}{" odd" if number % 2 else ""}">{escape(token)}</span>'
            for number, token in enumerate(tokens)
        )
        told.append(_around(use, where, text))
    more = _more(row)
    return "".join(told).lstrip("\n") + (f'<span class="more">{escape(more)}</span>' if more else "")
