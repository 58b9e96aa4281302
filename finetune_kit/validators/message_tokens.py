"""Marks of the model's own inside a message."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import conversations, parts_of
from finetune_kit.validators.issue import Issue, Severity

_MARK = re.compile(
    r"<\|(?:endoftext|endofprompt|fim_(?:prefix|middle|suffix)|im_(?:start|end|sep)|eot_id|return|call)\|>"
)
_REFUSED = ("<|endoftext|>", "<|endofprompt|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")


@dataclass(frozen=True, slots=True)
class ReservedTokens:
    """A message must not spell the marks by which a model knows where a text ends or a turn begins.

    OpenAI fails the whole job over its tokenizer's own marks ("message contains an invalid token"); other marks are
    remains of a chat template, which the host applies a second time.

    Bad:  `{"role": "assistant", "content": "At your neighbour's.<|endoftext|>"}`
    Good: `{"role": "assistant", "content": "At your neighbour's."}`
    """

    code = "reserved_token"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One finding for each message with such a mark: an error where OpenAI refuses it, else a warning."""
        if batch.kind == "completion" or b"<|" not in batch.raw:
            return ()
        return [
            Issue(
                self.code,
                Severity.ERROR if mark[0] in _REFUSED else Severity.WARNING,
                f"the text holds the model's own mark {quoted(mark[0])}",
                row=row,
                field=f"{name}[{place}].content",
                hint="Delete it: the host puts such marks where they belong.",
                span=mark.span(),
            )
            for row, example in batch.view(conversations).rows
            for name, turns in parts_of(example)
            for place, message in enumerate(turns)
            if (mark := _MARK.search(message.text)) is not None
        ]
