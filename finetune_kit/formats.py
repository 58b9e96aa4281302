"""Examples as the lines that a host trains on."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from finetune_kit.records import CompletionExample
from finetune_kit.rows import Rows
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import as_conversation


def rendered_lines(rows: Rows, template: PromptTemplate | None) -> Iterator[bytes]:
    """Each row as one JSON line without its end.

    Prompts and completions are written by `template`, and without one as conversations of two turns; all others as
    they are.
    """
    if rows.kind != "completion":
        return rows.content_lines()
    return (_rendered(example, template) for example in rows if isinstance(example, CompletionExample))


def _rendered(example: CompletionExample, template: PromptTemplate | None) -> bytes:
    if template is None:
        return orjson.dumps(as_conversation(example).content())
    return orjson.dumps(
        {"prompt": template.prompt(example.prompt), "completion": template.completion(example.completion)}
    )
