"""Training examples as tokens with a loss weight each; prompts for generation are made by the same calls."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from finetune_kit.backends.local.packing import Encoded
from finetune_kit.errors import EngineError
from finetune_kit.records import JsonValue

_UNSUPPORTED_KEYS = ("tools", "functions", "function_call", "tool_calls")


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns rows of a training file, and prompts, into tokens."""

    tokenizer: Any
    max_tokens: int
    prompt_loss_weight: float = 0.0

    @property
    def end(self) -> int:
        """The token that ends every text."""
        token = self.tokenizer.eos_token_id
        if not isinstance(token, int):
            raise EngineError("the base model's tokenizer has no end-of-text token, which training needs.")
        return token

    def text(self, text: str) -> list[int]:
        """Plain text; markers of the model's own, such as its end-of-text, are not read as such."""
        tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return tokens

    def prompt(self, text: str) -> list[int]:
        """What to go on from; never empty, since something must stand before the first predicted token."""
        return self.text(text) or [self.end]

    def conversation(self, messages: Sequence[Mapping[str, JsonValue]], *, ask: bool) -> list[int]:
        """Messages by the model's chat template; with `ask`, up to where the assistant's turn begins."""
        return self._laid_out(messages, ask=ask, apart=self._spells_a_marker(messages))

    def rows(self, row: Mapping[str, Any]) -> tuple[Encoded, ...]:
        """One row of a training file: a preference pair as two examples, the preferred answer first."""
        if "preferred_output" not in row:
            return (self.row(row),)
        asked = row["input"]
        sides = ("preferred_output", "non_preferred_output")
        conversations = ({**asked, "messages": [*asked["messages"], *row[side]]} for side in sides)
        preferred, other = (self._fitting(self._chat(one, last_only=True)) for one in conversations)
        if preferred.tokens == other.tokens:
            raise EngineError("both of its answers are the same in the base model's tokens. Give two that differ.")
        return preferred, other

    def row(self, row: Mapping[str, Any]) -> Encoded:
        """One row that is a single example; `EngineError` says what about it cannot be trained on."""
        return self._fitting(self._completion(row) if "prompt" in row else self._chat(row))

    def _fitting(self, encoded: Encoded) -> Encoded:
        if len(encoded.tokens) > self.max_tokens:
            raise EngineError(
                f"it has {len(encoded.tokens):,} tokens, and the limit is {self.max_tokens:,} for each single example. "
                "Shorten it, or split it into several examples."
            )
        return encoded

    def _completion(self, row: Mapping[str, Any]) -> Encoded:
        prompt, completion = self.prompt(row["prompt"]), [*self.text(row["completion"]), self.end]
        of_prompt = [0.0, *[self.prompt_loss_weight] * (len(prompt) - 1)]
        return Encoded((*prompt, *completion), (*of_prompt, *[1.0] * len(completion)))

    def _chat(self, row: Mapping[str, Any], *, last_only: bool = False) -> Encoded:
        """With `last_only`, the last answer alone counts, and nothing before it in the slightest."""
        _refuse_unsupported(row, "it")
        messages = [_with_text(message, index) for index, message in enumerate(row["messages"])]
        apart = self._spells_a_marker(messages)
        tokens: list[int] = []
        weights: list[float] = []
        for index, message in enumerate(messages):
            _refuse_unsupported(message, f"its message {index + 1}")
            if message["role"] == "assistant":
                asked = self._laid_out(messages[:index], ask=True, apart=apart)
                answered = self._laid_out(messages[: index + 1], ask=False, apart=apart)
                is_last = index == len(messages) - 1
                _append(tokens, weights, asked, 0.0 if last_only else self.prompt_loss_weight)
                _append(tokens, weights, answered, 0.0 if last_only and not is_last else _weight(message, index))
        if 1.0 not in (_weight(message, index) for index, message in enumerate(messages) if _is_answer(message)):
            raise EngineError("nothing in it is trained on. Give it an assistant message whose weight is not 0.")
        weights[0] = 0.0
        return Encoded(tuple(tokens), tuple(weights))

    def _spells_a_marker(self, messages: Sequence[Mapping[str, JsonValue]]) -> bool:
        markers: list[str] = [*self.tokenizer.all_special_tokens, *self.tokenizer.get_added_vocab()]
        return any(marker in str(message.get("content")) for message in messages for marker in markers)

    def _laid_out(self, messages: Sequence[Mapping[str, JsonValue]], *, ask: bool, apart: bool) -> list[int]:
        """With `apart`, contents are encoded apart from the template, so that none can end its own turn."""
        if not apart:
            tokens: list[int] = self._by_template(messages, ask=ask, tokenize=True)
            return tokens
        mark = secrets.token_hex(16)
        stand_ins = [{**message, "content": f"{mark}-{index}-"} for index, message in enumerate(messages)]
        parts = re.split(f"{mark}-([0-9]+)-", self._by_template(stand_ins, ask=ask, tokenize=False))
        tokens = []
        for place, part in enumerate(parts):
            if place % 2:
                tokens += self.text(str(messages[int(part)].get("content") or ""))
            else:
                tokens += self.tokenizer.encode(part, add_special_tokens=False)
        return tokens

    def _by_template(self, messages: Sequence[Mapping[str, JsonValue]], *, ask: bool, tokenize: bool) -> Any:
        from jinja2 import TemplateError

        if not self.tokenizer.chat_template:
            raise EngineError("the base model has no chat template, so it takes no messages: use prompts.")
        try:
            return self.tokenizer.apply_chat_template(
                [dict(message) for message in messages], add_generation_prompt=ask, tokenize=tokenize, return_dict=False
            )
        except TemplateError as error:
            raise EngineError(f"the base model's chat template cannot lay out these messages: {error}") from error


def _with_text(message: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    """The message with its content as one text, where that is written in parts."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = cast("list[dict[str, Any]]", content)
    other = next((part["type"] for part in parts if part["type"] != "text"), None)
    if other is not None:
        raise EngineError(f"its message {index + 1} has a part of type {other!r}; the engine learns text alone.")
    return {**message, "content": "".join(part["text"] for part in parts)}


def _is_answer(message: Mapping[str, Any]) -> bool:
    return bool(message["role"] == "assistant")


def _weight(message: Mapping[str, Any], index: int) -> float:
    weight = message.get("weight", 1)
    if weight not in (0, 1):
        raise EngineError(f"the weight of its message {index + 1} is {weight!r}. Give 0 or 1.")
    return float(weight)


def _refuse_unsupported(keys: Mapping[str, Any], what: str) -> None:
    for key in _UNSUPPORTED_KEYS:
        if keys.get(key):
            raise EngineError(f"{what} uses {key!r}, which the engine's base models have no words for yet. Remove it.")


def _append(tokens: list[int], weights: list[float], longer: list[int], weight: float) -> None:
    if longer[: len(tokens)] != tokens:
        raise EngineError("the base model's chat template rewrites earlier turns, so its turns cannot be told apart.")
    weights += [weight] * (len(longer) - len(tokens))
    tokens += longer[len(tokens) :]
