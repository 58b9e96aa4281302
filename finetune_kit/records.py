"""The kinds of training example, and their one canonical form on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, cast

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
Kind: TypeAlias = Literal["completion", "chat", "preference"]
Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool", "function"]

T = TypeVar("T")

_NO_METADATA: Mapping[str, JsonValue] = {}


@dataclass(frozen=True, slots=True)
class CompletionExample:
    """A prompt and the completion that the model should learn to give.

    The texts are the user's own: separator, stop sequence and leading space are added by `PromptTemplate`, never here.
    """

    prompt: str
    completion: str
    metadata: Mapping[str, JsonValue] = field(default_factory=lambda: _NO_METADATA)
    """Other columns of the row: for grouping and stratifying, never trained on."""

    kind: ClassVar[Literal["completion"]] = "completion"

    def content(self) -> dict[str, JsonValue]:
        """What is trained on, as the JSON object that hosts take."""
        return {"prompt": self.prompt, "completion": self.completion}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """One of `Role`; kept as it was read, so that a validator can report another one."""
    content: str | list[JsonValue] | None
    """The text, or a list of parts as hosts define them; None where an assistant turn is only tool calls."""
    more: Mapping[str, JsonValue] = field(default_factory=lambda: _NO_METADATA)
    """Other keys of the message, such as `weight`, `name` or `tool_calls`, exactly as read."""

    @property
    def text(self) -> str:
        """The text, or that of all text parts one after another; nothing where there is none."""
        if isinstance(self.content, list):
            parts = (part.get("text") for part in self.content if isinstance(part, dict) and part.get("type") == "text")
            return "".join(part for part in parts if isinstance(part, str))
        return self.content or ""

    def as_json(self) -> dict[str, JsonValue]:
        """The JSON object that hosts take."""
        return {"role": self.role, "content": self.content, **self.more}


@dataclass(frozen=True, slots=True)
class ChatExample:
    """A conversation; the model learns the assistant's turns."""

    messages: tuple[Message, ...]
    more: Mapping[str, JsonValue] = field(default_factory=lambda: _NO_METADATA)
    """Keys that hosts define beside `messages`: `tools`, `parallel_tool_calls`, `functions`; exactly as read."""
    metadata: Mapping[str, JsonValue] = field(default_factory=lambda: _NO_METADATA)
    """Other keys of the row: for grouping and stratifying, never trained on."""

    kind: ClassVar[Literal["chat"]] = "chat"

    def content(self) -> dict[str, JsonValue]:
        """What is trained on, as the JSON object that hosts take."""
        return {"messages": [message.as_json() for message in self.messages], **self.more}


@dataclass(frozen=True, slots=True)
class PreferenceExample:
    """A conversation so far and two answers to it, of which the model should learn to prefer the first."""

    messages: tuple[Message, ...]
    """What is asked."""
    preferred: tuple[Message, ...]
    non_preferred: tuple[Message, ...]
    more: Mapping[str, JsonValue] = field(default_factory=lambda: _NO_METADATA)
    """Keys that hosts define beside the `messages` of the input: `tools`, `parallel_tool_calls`; exactly as read."""
    metadata: Mapping[str, JsonValue] = field(default_factory=lambda: _NO_METADATA)
    """Other keys of the row: for grouping and stratifying, never trained on."""

    kind: ClassVar[Literal["preference"]] = "preference"

    def content(self) -> dict[str, JsonValue]:
        """What is trained on, as the JSON object that hosts take."""
        return {
            "input": {"messages": [message.as_json() for message in self.messages], **self.more},
            "preferred_output": [message.as_json() for message in self.preferred],
            "non_preferred_output": [message.as_json() for message in self.non_preferred],
        }


def completion_examples(
    prompts: Sequence[str], completions: Sequence[str], metadata: Iterable[Mapping[str, JsonValue]] | None = None
) -> list[CompletionExample]:
    """Many examples, in half the time that their constructor takes."""
    more = repeat(_NO_METADATA) if metadata is None else metadata
    return _made(CompletionExample, prompt=prompts, completion=completions, metadata=more)


def chat_examples(
    turns: Sequence[list[dict[str, Any]]],
    more: Sequence[Mapping[str, JsonValue]],
    metadata: Iterable[Mapping[str, JsonValue]],
) -> list[ChatExample]:
    """Many conversations, from their messages as JSON objects, which are taken apart."""
    objects = [turn for row in turns for turn in row]
    roles = [turn.pop("role") for turn in objects]
    contents = [turn.pop("content", None) for turn in objects]
    messages = iter(_made(Message, role=roles, content=contents, more=objects))
    parted = [tuple(islice(messages, len(row))) for row in turns]
    return _made(ChatExample, messages=parted, more=more, metadata=metadata)


def _made(kind: type[T], **columns: Iterable[object]) -> list[T]:
    length = len(cast("Sequence[object]", next(iter(columns.values()))))
    made: list[T] = list(map(object.__new__, repeat(kind, length)))
    # One call of a slot's own setter for each field, from C: a frozen dataclass takes five from Python.
    for name, values in columns.items():
        setter: Callable[[T, object], None] = vars(kind)[name].__set__
        deque(map(setter, made, values), maxlen=0)
    return made


Example: TypeAlias = CompletionExample | ChatExample | PreferenceExample


def turns_of(example: ChatExample | PreferenceExample) -> Iterator[tuple[str, Message]]:
    """Every message of an example, each with its place in the JSON object that hosts take."""
    parts = [("messages", example.messages)]
    if isinstance(example, PreferenceExample):
        parts = [
            ("input.messages", example.messages),
            ("preferred_output", example.preferred),
            ("non_preferred_output", example.non_preferred),
        ]
    return ((f"{name}[{number}]", turn) for name, turns in parts for number, turn in enumerate(turns))
