"""Messages whose content is a list of parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit._quoting import described, quoted
from finetune_kit.records import JsonValue
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import Fault, parts
from finetune_kit.validators.issue import Issue, Severity

_TEXT = 'Write {"type": "text", "text": "…"}, or the whole content as one text.'
_TEXT_ONLY = "Only text can stand there."
_MEANT = {
    "input_text": "text",
    "output_text": "text",
    "input_image": "image_url",
    "image": "image_url",
}
_NOT_TRAINED = ("input_audio", "audio", "file", "input_file", "video", "video_url")


@dataclass(frozen=True, slots=True)
class ContentParts:
    """A content that is a list holds texts, images where the user speaks, and refusals where the assistant does.

    Bad:  `{"role": "user", "content": [{"type": "input_audio", "input_audio": {…}}]}`
    Good: `{"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", …}]}`
    """

    code = "content_part"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each part that cannot be trained on."""
        return [
            fault.issue(self.code, row)
            for row, where, message, content in batch.view(parts)
            for fault in _judge(message.role, content, f"{where}.content")
        ]


def _judge(role: str, content: list[JsonValue], field: str) -> Iterator[Fault]:
    if role in ("tool", "function"):
        hint = "Write it as one text: OpenAI has refused training files over this."
        what = f"the content of a {role} message is a list of parts"
        yield Fault(what, field, hint, Severity.WARNING)
    for place, part in enumerate(content):
        where = f"{field}[{place}]"
        if isinstance(part, dict):
            yield from _judge_part(role, part, where)
        else:
            yield Fault(f"a part is {described(part)}, not an object", where, _TEXT)


def _judge_part(role: str, part: dict[str, JsonValue], field: str) -> Iterator[Fault]:
    kind = part.get("type")
    if kind == "text":
        yield from _text(part, "text", field)
    elif kind == "refusal":
        if role != "assistant":
            yield Fault("a refusal that is not the assistant's", f"{field}.type", _TEXT_ONLY)
        yield from _text(part, "refusal", field)
    elif kind == "image_url":
        if role == "assistant":
            hint = "Models are trained to look at images, not to send them: put it into the user's message."
            yield Fault("an image in a message by the assistant", f"{field}.type", hint)
        elif role != "user":
            hint = "Put it into the user's message."
            yield Fault("an image in a message that is not the user's", f"{field}.type", hint)
    else:
        yield _unknown(part, field)


def _text(part: dict[str, JsonValue], key: str, field: str) -> list[Fault]:
    value = part.get(key)
    if isinstance(value, str):
        return []
    what = f"has no {key}" if key not in part else f"holds {described(value)}, not text"
    return [Fault(f"a part of type {key} {what}", f"{field}.{key}", f"Write its text under the key {key}.")]


def _unknown(part: dict[str, JsonValue], field: str) -> Fault:
    kind = part.get("type")
    if not isinstance(kind, str):
        return Fault(
            "a part has no type" if "type" not in part else f"a part's type is {described(kind)}", field, _TEXT
        )
    if kind in _NOT_TRAINED:
        return Fault(f"a part of type {quoted(kind)}", f"{field}.type", "Models are trained on text and images only.")
    hint = f"Write {_MEANT[kind]}, as hosts call it in chat." if kind in _MEANT else "A part is text or image_url."
    return Fault(f"{quoted(kind)} is not a type of part", f"{field}.type", hint)
