"""Examples as the lines that a host trains on."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from finetune_kit.errors import ParameterError
from finetune_kit.records import CompletionExample
from finetune_kit.rows import Rows
from finetune_kit.templates import PromptTemplate


def rendered_lines(rows: Rows, template: PromptTemplate | None) -> Iterator[bytes]:
    """Each row as one JSON line without its end; prompts and completions by `template`, others as they are."""
    if rows.kind != "completion":
        return rows.content_lines()
    if template is None:
        raise ParameterError(
            "prompts and completions are written by a template, and none was given.", parameter="template"
        )
    return (_rendered(example, template) for example in rows if isinstance(example, CompletionExample))


def _rendered(example: CompletionExample, template: PromptTemplate) -> bytes:
    return orjson.dumps(
        {"prompt": template.prompt(example.prompt), "completion": template.completion(example.completion)}
    )
