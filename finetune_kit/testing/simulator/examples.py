"""Training files read as the host's validation reads them."""

from __future__ import annotations

import codecs
from typing import TypeAlias, cast

import orjson

from finetune_kit.records import JsonValue, Kind
from finetune_kit.testing.simulator.blob import Content
from finetune_kit.testing.simulator.flavour import Flavour


class BadFile(ValueError):  # noqa: N818 - it becomes the error of a job
    """A file that cannot be trained on."""

    def __init__(self, code: str, message: str, *, param: str) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


Kinds: TypeAlias = tuple[Kind, ...]


def read_examples(content: Content, flavour: Flavour, *, param: str, kinds: Kinds) -> Kind:
    """Check every line, and say what kind of examples they are; `BadFile` where they cannot be trained on."""
    rows, kind = 0, None
    for number, line in enumerate(content.lines(), 1):
        plain = line.removeprefix(codecs.BOM_UTF8) if number == 1 and flavour.byte_order_mark else line
        if not plain.strip():
            continue
        found = _kind(plain)
        if found is None or (kind is not None and found != kind) or (kinds and found not in kinds):
            raise BadFile("invalid_file_format", _complaint(plain, number, found, kinds), param=param)
        kind = found
        rows += 1
    if kind is None or (param == "training_file" and rows < flavour.min_examples):
        which = param.replace("_", " ").capitalize()
        least = flavour.min_examples if param == "training_file" else 1
        message = f"{which} has {rows} example(s), but must have at least {least} examples"
        raise BadFile("invalid_n_examples", message, param=param)
    return kind


def _kind(line: bytes) -> Kind | None:
    try:
        read = cast("JsonValue", orjson.loads(line))
    except orjson.JSONDecodeError:
        return None
    match read:
        case {"messages": [*messages]} if _are_messages(messages):
            return "chat"
        case {"prompt": str(), "completion": str()}:
            return "completion"
        case {"input": {"messages": [*asked]}, "preferred_output": [*better], "non_preferred_output": [*worse]}:
            return "preference" if all(map(_are_messages, (asked, better, worse))) else None
        case _:
            return None


def _are_messages(values: list[JsonValue]) -> bool:
    return bool(values) and all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in values)


def _complaint(line: bytes, number: int, found: Kind | None, kinds: Kinds) -> str:
    start = line[:20].decode("utf-8", "replace")
    if not line.startswith(b"{"):
        return f'Invalid file format. Line {number} is not a dictionary (HINT: line starts with: "{start}").'
    if found is not None:
        return (
            f"Invalid file format. Input file is in the {found} format, but the job expects "
            f"{' or '.join(kinds) or 'one format in all lines'} (line {number})."
        )
    return f"Invalid file format. Example {number} is not in a format that can be trained on."
