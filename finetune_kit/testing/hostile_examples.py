"""Examples as nobody should have them, and somebody has."""

from __future__ import annotations

from typing import cast

from finetune_kit.records import ChatExample, CompletionExample, JsonValue, Kind, Message, PreferenceExample
from finetune_kit.rows import Rows, RowsBuilder

_TEXTS = (
    "",
    " ",
    "\n\n\t \r\n",
    "\0\x01\x1b[31m\x7f\x85",
    "\u200b\u200d\ufeff\u202eabc\u2066",
    "\ufffd\ufffe\U000e0041\U0010ffff",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "e\u0301" * 500,
    "今天晚上吃什么好呢?",
    "مرحبا שלום",
    "<script>alert('x')</script>&amp;<b>",
    '{"prompt": "{\\"a\\": [1, 2"}',
    "%s %d {0} {name} ${HOME} $(id) `id` \\1 \\",
    "9" * 6_000,  # more digits than int() takes
    "٣" * 40 + "²",
    "a" * 30_000 + "!",
    "a b " * 30_000,
    "x@" * 5_000,
    "-" * 200 + "\n" + "=" * 200,
)

_VALUES: tuple[JsonValue, ...] = (
    None,
    True,
    0,
    -1,
    2**70,
    1e308,
    "",
    "text",
    [],
    {},
    [None, 1, "a", [], {"type": None}],
    [{"type": "text"}, {"type": "text", "text": None}, {"type": "image_url", "image_url": None}, {"type": 3}],
    {"type": "function", "function": None},
    [{"id": 1, "type": "function", "function": {"name": None, "arguments": 7}}],
    [{"id": "1", "function": {"name": "f", "arguments": "[" * 5_000}}],
    [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": [1]}}}],
)
_KEYS = ("weight", "name", "tool_calls", "function_call", "tool_call_id", "refusal", "audio", "x")
_ROLES = ("system", "developer", "user", "assistant", "tool", "function", "", "Assistant", "a\nb")
_MORE = ("tools", "functions", "parallel_tool_calls")


def hostile_rows() -> dict[Kind, Rows]:
    """For each kind of example, a set of rows that no rule may stumble over."""
    return {"completion": _completions(), "chat": _chats(), "preference": _preferences()}


def _completions() -> Rows:
    builder = RowsBuilder("completion", path="hostile.jsonl")
    pairs = [(text, other) for text in _TEXTS for other in (text, "", "track")] + [("", text) for text in _TEXTS]
    for line, (prompt, completion) in enumerate(pairs, 1):
        metadata: dict[str, JsonValue] = {"": _VALUES[line % len(_VALUES)], "a b": completion[:5]} if line % 3 else {}
        builder.add(CompletionExample(prompt, completion, metadata), line=line)
    return builder.build()


def _turns() -> list[Message]:
    turns = [Message(role, text) for role in _ROLES for text in _TEXTS[:4]]
    turns += [Message("user", text) for text in _TEXTS]
    turns += [Message("assistant", None, {key: value}) for key in _KEYS for value in _VALUES]
    turns += [Message("tool", "", {key: value}) for key in _KEYS for value in _VALUES]
    return turns + [Message("user", value) for value in _VALUES if isinstance(value, list)]


def _chats() -> Rows:
    builder = RowsBuilder("chat", path="hostile.jsonl")
    examples = [ChatExample(()), ChatExample(tuple(_turns()))]
    for turn in _turns():
        examples += [ChatExample((turn,)), ChatExample((turn, Message("assistant", "yes")))]
    examples += [ChatExample((Message("user", "a"),), {key: value}) for key in _MORE for value in _VALUES]
    call = cast("JsonValue", [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}])
    examples += [
        ChatExample((Message("user", "a"), Message("assistant", None, {"tool_calls": call})), {"tools": value})
        for value in _VALUES
    ]
    for line, example in enumerate(examples, 1):
        builder.add(example, line=line)
    return builder.build()


def _preferences() -> Rows:
    builder = RowsBuilder("preference", path="hostile.jsonl")
    turns = _turns()
    parts = [(), (turns[0],), tuple(turns)]
    examples = [PreferenceExample(asked, good, bad) for asked in parts for good in parts for bad in parts]
    examples += [PreferenceExample((turn,), (turn,), (turn,)) for turn in turns]
    for line, example in enumerate(examples, 1):
        builder.add(example, line=line)
    return builder.build()
