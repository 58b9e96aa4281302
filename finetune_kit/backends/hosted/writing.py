"""An answer as it comes: what can be told of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from finetune_kit.backends.hosted.objects.generation import end_of
from finetune_kit.backends.hosted.objects.tool_call import Gathered
from finetune_kit.backends.hosted.objects.values import first, members
from finetune_kit.backends.protocol import Generation
from finetune_kit.backends.tool_calls import CallingPiece, ToolCall
from finetune_kit.records import JsonValue


@dataclass(slots=True)
class Writing:
    """Tells a text up to the first stop sequence; what may be the beginning of one is held back until it is known."""

    stops: tuple[str, ...]
    ended: bool = False
    """Whether a stop sequence has come."""
    _held: str = ""
    _calls: Gathered = field(default_factory=Gathered)

    def chunk(self, chunk: JsonValue) -> list[str]:
        """What is ready with one more chunk of the host's stream."""
        choice = members(first(members(chunk).get("choices")))
        delta = members(choice.get("delta"))
        self._calls.add(delta)
        text = choice.get("text", delta.get("content"))
        return self.add(text if isinstance(text, str) else "")

    def add(self, piece: str) -> list[str]:
        """What is ready with one more piece of text: one piece, or none."""
        self._held += piece
        end = end_of(self._held, self.stops)
        self.ended = end is not None
        if end is None:
            end = max(0, len(self._held) - (max(map(len, self.stops), default=1) - 1))
        ready, self._held = self._held[:end], self._held[end:]
        return [ready] if ready else []

    def rest(self) -> list[str]:
        """What was held back, once nothing more comes, and the tools that the model calls."""
        if self.ended:
            return []
        return [*([self._held] if self._held else []), *_calling(self._calls.whole())]


def whole(answer: Generation) -> list[str]:
    """The pieces of an answer that came at once."""
    return [*([answer.text] if answer.text else []), *_calling(answer.tool_calls)]


def _calling(calls: tuple[ToolCall, ...]) -> list[str]:
    return [CallingPiece(calls)] if calls else []
