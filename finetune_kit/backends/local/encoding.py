"""Training examples as tokens with a loss weight each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune_kit.backends.local.packing import Encoded
from finetune_kit.errors import EngineError
from finetune_kit.records import JsonValue

_UNSUPPORTED_KEYS = ("tools", "functions", "function_call")
_UNSUPPORTED_MESSAGE_KEYS = ("tool_calls", "function_call")


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns rows of a training file into tokens; the same calls make the prompts for generation."""

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

    def conversation(self, messages: Sequence[Mapping[str, JsonValue]], *, ask: bool) -> list[int]:
        """Messages by the model's chat template; with `ask`, up to where the assistant's turn begins."""
        tokens: list[int] = self.tokenizer.apply_chat_template(
            [dict(message) for message in messages], add_generation_prompt=ask, tokenize=True, return_dict=False
        )
        return tokens

    def row(self, row: Mapping[str, Any]) -> Encoded:
        """One row of a training file; `EngineError` says what about it cannot be trained on."""
        encoded = self._completion(row) if "prompt" in row else self._chat(row)
        if len(encoded.tokens) > self.max_tokens:
            raise EngineError(
                f"it has {len(encoded.tokens):,} tokens, and this limit is {self.max_tokens:,} for each single example. "
                "Shorten it, or split it into several examples."
            )
        if not encoded.trained_tokens:
            raise EngineError(
                "no token in it is trained on. Give it a completion, or an assistant message of weight 1."
            )
        return encoded

    def _completion(self, row: Mapping[str, Any]) -> Encoded:
        prompt, completion = self.text(row["prompt"]), [*self.text(row["completion"]), self.end]
        weights = [self.prompt_loss_weight] * len(prompt) + [1.0] * len(completion)
        weights[0] = 0.0
        if not prompt:  # open-ended generation: something must stand before the first predicted token
            return Encoded((self.end, *completion), (0.0, *[1.0] * len(completion)))
        return Encoded((*prompt, *completion), tuple(weights))

    def _chat(self, row: Mapping[str, Any]) -> Encoded:
        for key in _UNSUPPORTED_KEYS:
            if row.get(key):
                raise EngineError(f"it uses {key!r}, which the engine's base models have no words for yet. Remove it.")
        messages: list[Mapping[str, Any]] = row["messages"]
        tokens: list[int] = []
        weights: list[float] = []
        for index, message in enumerate(messages):
            for key in _UNSUPPORTED_MESSAGE_KEYS:
                if message.get(key):
                    raise EngineError(
                        f"its message {index + 1} uses {key!r}, which the engine's base models have no words for yet."
                    )
            if message["role"] == "assistant":
                asked = self.conversation(messages[:index], ask=True)
                self._append(tokens, weights, asked, self.prompt_loss_weight)
                self._append(
                    tokens,
                    weights,
                    self.conversation(messages[: index + 1], ask=False),
                    float(message.get("weight", 1)),
                )
        if weights:
            weights[0] = 0.0
        return Encoded(tuple(tokens), tuple(weights))

    def _append(self, tokens: list[int], weights: list[float], longer: list[int], weight: float) -> None:
        if longer[: len(tokens)] != tokens:
            raise EngineError(
                "the base model's chat template rewrites earlier turns, so its turns cannot be told apart."
            )
        weights += [weight] * (len(longer) - len(tokens))
        tokens += longer[len(tokens) :]
