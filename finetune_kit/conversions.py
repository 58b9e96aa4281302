"""Examples of one kind as another: prompts and completions as conversations, and back where nothing is lost unsaid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from finetune_kit._arguments import string
from finetune_kit._quoting import counted, quoted
from finetune_kit._refused import RefusedRows, RefusedRowsBuilder
from finetune_kit.errors import FormatError, ParameterError, RowError
from finetune_kit.records import ChatExample, CompletionExample, Example, Message, PreferenceExample
from finetune_kit.rows import Refusal, Rows, RowsBuilder
from finetune_kit.templates import PromptTemplate

_INSTRUCTIONS = ("system", "developer")
_REFUSALS_KEPT = 1_000
_REASONS_SHOWN = 3
_TEXT_LENGTH = 200
_PLACEHOLDER = re.compile(r"\{role\}|\{text\}")
_TEMPLATE_HINT = "Give a template, such as to_completion('{role}: {text}\\n')"


@dataclass(frozen=True, slots=True)
class Converted:
    """The rows, what could not become one, and what is to be said of it."""

    rows: Rows
    notes: tuple[str, ...]
    refused: int = 0
    refusals: tuple[Refusal, ...] = ()
    """The first thousand."""
    refused_rows: RefusedRows = RefusedRows()  # noqa: RUF009 - it is never changed


def to_chat(rows: Rows, system: str | None) -> Converted:
    """Conversations: of a prompt and its completion, of a preference pair's question and its preferred answer."""
    text = None if system is None else string("system", system)
    builder = RowsBuilder("chat", path=rows.paths[0])
    had_one = 0
    for row, example in enumerate(rows):
        chat = _as_chat(example)
        if text is not None and chat.messages[:1] and chat.messages[0].role in _INSTRUCTIONS:
            had_one += 1
        elif text is not None:
            chat = replace(chat, messages=(Message("system", text), *chat.messages))
        builder.add_from(chat, rows.origin(row))
    notes = [f"{counted(len(rows), f'{rows.kind} example')} became conversations."] if rows.kind != "chat" else []
    if rows.kind == "preference":
        notes.append("Only the preferred answers are in them; the others stayed behind.")
    if text is not None:
        kept = f" {had_one:,} had one already and kept it." if had_one else ""
        notes.append(f"{counted(len(rows) - had_one, 'conversation')} got the system message.{kept}")
    return Converted(builder.build(), tuple(notes))


def _as_chat(example: Example) -> ChatExample:
    if isinstance(example, ChatExample):
        return example
    if isinstance(example, PreferenceExample):
        return ChatExample((*example.messages, *example.preferred), example.more, example.metadata)
    asked = (Message("user", example.prompt),) if example.prompt else ()  # a text without a prompt answers nothing
    return ChatExample((*asked, Message("assistant", example.completion)), metadata=example.metadata)


def to_completion(rows: Rows, template: str | None) -> Converted:
    """Prompts and completions of conversations; those that cannot become one are refused, with file, row and reason."""
    write = _turn_writer(template)
    builder = RowsBuilder("completion", path=rows.paths[0])
    refused = _Refused()
    unlearnt = 0
    if rows.kind == "preference":
        raise ParameterError("these are preference pairs. Take the preferred answers first, by to_chat().")
    for row, example in enumerate(rows):
        if not isinstance(example, ChatExample):
            continue  # completion examples, which the caller has dealt with
        try:
            _check_plain(example)
            pair = _as_pair(example, write)
        except RowError as error:
            refused.add(error, rows, row)
            continue
        unlearnt += sum(message.role == "assistant" for message in example.messages[:-1] if not message.more)
        builder.add_from(pair, rows.origin(row))
    if refused.count and not len(builder):
        raise FormatError(f"none of {counted(refused.count, 'conversation')} can become a prompt. {refused.reasons()}")
    notes = [f"{len(builder):,} of {counted(len(rows), 'conversation')} became prompts and completions."]
    if unlearnt:
        notes.append(f"Answers before the last one, {unlearnt:,} in all, are context now and not learnt.")
    return Converted(builder.build(), tuple(notes), refused.count, tuple(refused.first), refused.builder.build())


class _Refused:
    """Conversations that cannot become a prompt and a completion."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Refusal] = []
        self.builder = RefusedRowsBuilder()
        self._told: list[str] = []

    def add(self, error: RowError, rows: Rows, row: int) -> None:
        """Put one aside."""
        origin, raw = rows.origin(row), rows.content_line(row).decode()
        self.count += 1
        self.builder.add(error, line=origin.line, raw=raw, path=origin.path)
        if len(self.first) < _REFUSALS_KEPT:
            shown = raw[:_TEXT_LENGTH]
            self.first.append(Refusal(origin.line, None, error.code, str(error), error.hint, shown, origin.path))
        if len(self._told) < _REASONS_SHOWN:
            self._told.append(f"{origin}: {error}. {error.hint}.")

    def reasons(self) -> str:
        """Why the first of them were refused."""
        return " ".join(self._told)


def _turn_writer(template: object) -> Callable[[Message], str] | None:
    if template is None:
        return None
    if isinstance(template, PromptTemplate):
        raise ParameterError(
            "a PromptTemplate stands around prompts that are there already; train chooses one. Pass text in which "
            "{role} and {text} stand for those of each turn, such as '{role}: {text}\\n'.",
            parameter="template",
        )
    text = string("template", template)
    if "{text}" not in text:
        raise ParameterError(
            f"template={text!r}: {{text}} is not in it, which stands for the text of each turn. "
            "Pass '{role}: {text}\\n', for example.",
            parameter="template",
        )

    def write(message: Message) -> str:
        words = {"{role}": message.role, "{text}": message.text}
        return _PLACEHOLDER.sub(lambda found: words[found[0]], text)

    return write


def _check_plain(example: ChatExample) -> None:
    """Refuse what a prompt and a completion have no place for."""
    if example.more:
        raise _no_place(f"the conversation has {_listed(example.more)}", "Keep it as a conversation")
    for number, message in enumerate(example.messages):
        where = f"messages[{number}]"
        other = [key for key in message.more if key != "weight"]
        if other:
            raise _no_place(f"{where} has {_listed(other)}", "Keep it as a conversation")
        if isinstance(message.content, list) and any(
            not isinstance(part, dict) or part.get("type") != "text" for part in message.content
        ):
            raise _no_place(f"{where} has parts that are not text", "Keep it as a conversation")
    _check_weights(example.messages)


def _check_weights(messages: Sequence[Message]) -> None:
    """All turns by the assistant are learnt unless their weight is 0; a completion is only the last."""
    if messages and messages[-1].more.get("weight", 1) != 1:
        raise _no_place(f"messages[{len(messages) - 1}], the answer, has a weight that is not 1", "Keep it as it is")
    for number, message in enumerate(messages[:-1]):
        if message.more.get("weight", 0) != 0:
            raise _no_place(f"messages[{number}] has a weight that is not 0", "Keep it as a conversation, or give it 0")


def _as_pair(example: ChatExample, write: Callable[[Message], str] | None) -> CompletionExample:
    *before, last = example.messages or (Message("", None),)
    if last.role != "assistant":
        raise _no_place("the last message is not by the assistant", "End the conversation with the answer")
    if write is not None:
        return CompletionExample("".join(map(write, before)), last.text, example.metadata)
    if any(message.role != "user" for message in before):
        other = next(message.role for message in before if message.role != "user")
        raise _no_place(f"a prompt has no place for the turn by {quoted(other)}", _TEMPLATE_HINT)
    if len(before) > 1:
        raise _no_place(f"{len(before)} turns are before the answer, not one", _TEMPLATE_HINT)
    return CompletionExample(before[0].text if before else "", last.text, example.metadata)


def _no_place(message: str, hint: str) -> RowError:
    return RowError(message, code="not_convertible", hint=hint)


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(map(quoted, keys))
