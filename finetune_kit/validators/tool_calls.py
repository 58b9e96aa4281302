"""Calls of tools, and what the tools answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from finetune_kit._quoting import described, quoted
from finetune_kit.records import JsonValue, Message
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import (
    Conversation,
    Fault,
    is_given,
    parts_of,
    row_field,
)
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.tool_arguments import argument_faults
from finetune_kit.validators.tool_definitions import offers

_CALL = 'A call is {"id": …, "type": "function", "function": {"name": …, "arguments": "{…}"}}.'
_ANSWER = "Right after the call comes a tool message whose tool_call_id is the call's id, one for each call."


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """A call names a tool of its row, its arguments are JSON as text, and a tool message answers it by its id.

    A conversation may end with calls: then they are what is learnt.

    Bad:  `{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "get_weather",
          "arguments": {"city": "Oslo"}}}]}`
    Good: the same with `"arguments": "{\\"city\\": \\"Oslo\\"}"`, then `{"role": "tool", "tool_call_id": "a", …}`
    """

    code = "tool_calls"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each fault in a call or an answer; a warning where it is taken and teaches the wrong thing."""
        return [
            fault.issue(self.code, row)
            for row, example, offer in batch.view(offers)
            for fault in _judge(example, offer.names)
        ]


def _judge(example: Conversation, offered: frozenset[str] | None) -> list[Fault]:
    parts = [(name, turns) for name, turns in parts_of(example) if any(map(_is_about_tools, turns))]
    if not parts:
        return []
    found: list[Fault] = []
    called = False
    for name, turns in parts:
        walk = _Walk(name, offered, parallel=example.more.get("parallel_tool_calls") is not False)
        for place, message in enumerate(turns):
            walk.take(message, f"{name}[{place}]", is_last=place == len(turns) - 1)
        found += walk.found
        called = called or walk.has_called
    if called and offered is None:
        hint = "Add the tools that were offered: the model learns when to call them from their definitions."
        found.append(
            Fault("tools are called, and the row defines none", row_field(example, "tools"), hint, Severity.WARNING)
        )
    return found


def _is_about_tools(message: Message) -> bool:
    more = message.more
    return message.role in ("tool", "function") or "tool_calls" in more or "function_call" in more


@dataclass(slots=True)
class _Walk:
    """Goes through one list of messages and remembers which calls still wait for an answer."""

    name: str
    offered: frozenset[str] | None
    parallel: bool
    found: list[Fault] = field(default_factory=list[Fault])
    has_called: bool = False
    _waiting: dict[str, str] = field(default_factory=dict[str, str])
    """Where each call stands that has no answer yet, by its id."""
    _answered: set[str] = field(default_factory=set[str])
    """The calls of the same message that have theirs."""
    _earlier: set[str] = field(default_factory=set[str])
    """Every id so far."""
    _function: JsonValue = None
    """The name in the `function_call` just before."""

    def take(self, message: Message, where: str, *, is_last: bool) -> None:
        if message.role == "tool":
            self.found += self._answer(message, where)
            if is_last:  # which `ChatRoles` refuses anyway
                self._end_answers()
            return
        self._end_answers()
        if message.role == "function":
            self.found += self._function_answer(message, where)
        self._function = None
        calls, call = message.more.get("tool_calls"), message.more.get("function_call")
        if is_given(calls):
            self.found += self._calls(message.role, calls, f"{where}.tool_calls")
        if is_given(call):
            self.found += self._function_call(message.role, call, f"{where}.function_call")
        if is_last:
            self._waiting.clear()

    def _end_answers(self) -> None:
        self.found += [
            Fault("a call is not answered before the next message", field, _ANSWER) for field in self._waiting.values()
        ]
        self._waiting.clear()
        self._answered.clear()

    def _answer(self, message: Message, where: str) -> Iterator[Fault]:
        field, name = f"{where}.tool_call_id", message.more.get("tool_call_id")
        if not isinstance(name, str) or not name:
            yield Fault("a tool message does not say which call it answers", field, _ANSWER)
        elif name in self._waiting:
            del self._waiting[name]
            self._answered.add(name)
        elif name in self._answered:
            yield Fault("a call is answered twice", field, _ANSWER)
        else:
            yield Fault("a tool message answers no call of the message before it", field, _ANSWER)

    def _function_answer(self, message: Message, where: str) -> Iterator[Fault]:
        name = message.more.get("name")
        if not isinstance(name, str) or not name:
            yield Fault("a function message does not name its function", f"{where}.name", "Add its name.")
        elif self._function is None:
            hint = "It follows the message whose function_call it answers."
            yield Fault("a function message answers no call", where, hint, Severity.WARNING)
        elif name != self._function:
            hint = "Give it the name that was called."
            message_text = "a function message answers a call of another function"
            yield Fault(message_text, f"{where}.name", hint, Severity.WARNING)

    def _calls(self, role: str, calls: JsonValue, field: str) -> Iterator[Fault]:
        self.has_called = True
        if role != "assistant":
            yield _by_another(field)
            return
        if not isinstance(calls, list):
            what = "JSON written as text" if isinstance(calls, str) else f"{described(calls)}, not a list"
            yield Fault(f"the calls are {what}", field, _CALL)
            return
        if len(calls) > 1 and not self.parallel:
            hint = "Leave parallel_tool_calls out, or make one call after the other."
            message = "there are several calls at once, and parallel_tool_calls is false"
            yield Fault(message, field, hint, Severity.WARNING)
        here: dict[str, str] = {}
        for place, call in enumerate(calls):
            yield from self._call(call, f"{field}[{place}]", here)
        self._earlier.update(here)
        self._waiting = here

    def _call(self, call: JsonValue, field: str, here: dict[str, str]) -> Iterator[Fault]:
        if not isinstance(call, dict):
            yield Fault(f"a call is {described(call)}, not an object", field, _CALL)
            return
        yield from self._call_id(call.get("id"), field, here)
        kind, function = call.get("type"), call.get("function")
        if "function" not in call and "name" in call:
            yield Fault("the function's name stands in the call itself, not in its function", field, _CALL)
            return
        if kind != "function":
            given = quoted(kind) if isinstance(kind, str) else described(kind)
            what = "has no type" if "type" not in call else f"is of type {given}"
            yield Fault(f"a call {what}", f"{field}.type", _CALL)
        if isinstance(function, dict):
            yield from self._function_faults(function, f"{field}.function")
        else:
            yield Fault(f"a call's function is {described(function)}, not an object", f"{field}.function", _CALL)

    def _call_id(self, name: JsonValue, field: str, here: dict[str, str]) -> Iterator[Fault]:
        field, hint = f"{field}.id", "Give each call an id of its own, by which its answer is known."
        if not isinstance(name, str) or not name:
            yield Fault("a call has no id" if name in (None, "") else f"a call's id is {described(name)}", field, hint)
        elif name in here:
            yield Fault("two calls of one message have the same id", field, hint)
        else:
            if name in self._earlier:
                yield Fault("a call has the id of an earlier one", field, hint, Severity.WARNING)
            here[name] = field

    def _function_call(self, role: str, call: JsonValue, field: str) -> Iterator[Fault]:
        self.has_called = True
        if role != "assistant":
            yield _by_another(field)
        elif not isinstance(call, dict):
            hint = 'It is {"name": …, "arguments": "{…}"}.'
            yield Fault(f"the call is {described(call)}, not an object", field, hint)
        else:
            self._function = call.get("name")
            yield from self._function_faults(call, field)

    def _function_faults(self, function: dict[str, JsonValue], field: str) -> Iterator[Fault]:
        name = function.get("name")
        if not isinstance(name, str) or not name:
            yield Fault("a call names no function", f"{field}.name", _CALL)
        elif self.offered is not None and name not in self.offered:
            message = f"{quoted(name)} is called, which is not among the row's tools"
            yield Fault(message, f"{field}.name", "Define it in tools, or correct the name.")
        if "arguments" in function:
            yield from argument_faults(function["arguments"], f"{field}.arguments")
        else:
            yield Fault("a call has no arguments", f"{field}.arguments", 'Write "{}" where there are none.')


def _by_another(field: str) -> Fault:
    return Fault("a message that is not the assistant's makes calls", field, "Only the assistant calls tools.")
