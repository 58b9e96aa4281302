"""Separator, stop sequence and leading space that a prepared file brings along, found so that they can stay there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice

from finetune_kit.records import CompletionExample
from finetune_kit.rows import Rows
from finetune_kit.sides import completions
from finetune_kit.templates import PromptTemplate
from finetune_kit.transforms import map_rows
from finetune_kit.validators.affixes import likely_mark

_SAMPLE_ROWS = 2000
_END_WORD = re.compile(r"\s*[\[<(#|*]*(?<![A-Za-z0-9])(?:END|STOP|DONE|EOF|EOS)[\]>)#|*]*\s*\Z")


def found_template(sets: Sequence[Rows]) -> PromptTemplate:
    """What stands around all prompts and completions of these rows; a mark that some row lacks is none.

    Whatever it is, `taken_off` and the template together give every row back as it was.
    """
    sample = list(islice(completions(sets), _SAMPLE_ROWS))
    template = PromptTemplate(
        separator=_mark([example.prompt for example in sample], stops=False),
        stop=_mark([example.completion for example in sample], stops=True),
        leading_space=bool(sample),
    )
    for example in completions(sets):
        template = _kept(template, example)
    return template


def _mark(texts: Sequence[str], *, stops: bool) -> str:
    """Texts that are all the same end alike without a mark."""
    if len(set(texts)) < 2:
        return ""
    found = likely_mark(texts, stops=stops)
    if stops and not found:
        # Scripts without spaces have nothing between their last word and the stop sequence.
        ending = _END_WORD.search(texts[0])
        found = "" if ending is None else ending[0]
    return found


def _kept(template: PromptTemplate, example: CompletionExample) -> PromptTemplate:
    """What of a template this example has as well, in a way that `PromptTemplate` reads back."""
    separator, stop = template.separator, template.stop
    if separator and not _ends_once(example.prompt, separator):
        template = replace(template, separator="")
    if stop and f"{example.completion.partition(stop)[0]}{stop}" != example.completion:
        template = replace(template, stop="")
    if template.leading_space and not example.completion.removesuffix(template.stop).startswith(" "):
        template = replace(template, leading_space=False)
    return template


def _ends_once(text: str, mark: str) -> bool:
    return text.endswith(mark) and not text.removesuffix(mark).endswith(mark)


def taken_off(rows: Rows, template: PromptTemplate) -> Rows:
    """The rows without what `template` puts around each."""
    if template == PromptTemplate(separator="", stop="", leading_space=False):
        return rows
    return map_rows(rows, _taker(template))


def _taker(template: PromptTemplate) -> Callable[[CompletionExample], CompletionExample]:
    def plain(example: CompletionExample) -> CompletionExample:
        return replace(
            example,
            prompt=example.prompt.removesuffix(template.separator),
            completion=template.parse(example.completion),
        )

    return plain


def misfit(template: PromptTemplate, rows: Iterable[Rows]) -> CompletionExample | None:
    """The first example that has not all that `template` puts around one."""
    return next((example for example in completions(rows) if _kept(template, example) != template), None)
