"""What is asked of a model in memory: requests, each with its own settings, and the call that waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Literal

from finetune_kit.backends.local.batch import Prompt
from finetune_kit.backends.local.choosing import Chances
from finetune_kit.backends.local.writing import Alphabet, Writing
from finetune_kit.backends.protocol import Generation, Sampling, TokenLogprob

FinishReason = Literal["stop", "length"]


@dataclass(slots=True, eq=False)
class Request:
    """One prompt on its way to an answer."""

    prompt: Prompt
    sampling: Sampling
    number: int
    """Its place in its call, which makes its samples its own."""
    writing: Writing
    pieces: SimpleQueue[str | None] | None = None
    """For whoever reads along; None ends it."""
    cancelled: bool = False
    answer: Generation | None = None
    error: Exception | None = None
    tokens: int = 0
    logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])
    chances: Chances = field(init=False)

    def __post_init__(self) -> None:
        self.chances = Chances(self.sampling, self.number)

    @property
    def over(self) -> bool:
        """Whether nothing more will be written."""
        return self.cancelled or self.answer is not None or self.error is not None

    def take(self, token: int, end: int, logprob: TokenLogprob | None) -> None:
        """The next token, which may be the last one."""
        if token == end:
            self._end("stop")
            return
        self.tokens += 1
        self.chances.wrote(token)
        if logprob is not None:
            self.logprobs.append(logprob)
        if self.writing.push(token):
            self._end("stop")
        elif len(self.prompt.tokens) + self.tokens >= self.prompt.most:
            self._end("length")
        else:
            self._tell()

    def _tell(self) -> None:
        if self.pieces is not None and (fresh := self.writing.news()):
            self.pieces.put(fresh)

    def _end(self, reason: FinishReason) -> None:
        self.writing.end()
        if self.writing.stopped:  # half a character at the very end can complete a stop sequence
            reason = "stop"
        self._tell()
        self.answer = Generation(
            text=self.writing.text,
            finish_reason=reason,
            prompt_tokens=len(self.prompt.tokens),
            completion_tokens=self.tokens,
            logprobs=tuple(self.logprobs) if self.sampling.top_logprobs is not None else None,
        )


@dataclass(slots=True, eq=False)
class Call:
    """Requests that one caller makes together."""

    requests: Sequence[Request]
    finished: threading.Event = field(default_factory=threading.Event)
    on_end: Callable[[], None] | None = None
    """Called by the engine's thread when all are over."""
    left: int = field(init=False)
    waiting: int = 0
    """The first of the requests that nobody has begun."""

    def __post_init__(self) -> None:
        self.left = len(self.requests)

    def cancel(self) -> None:
        """Nobody waits any more."""
        for request in self.requests:
            request.cancelled = True

    def one_is_over(self, request: Request) -> None:
        """Told once of each request, by the engine's thread."""
        if request.pieces is not None:
            request.pieces.put(None)
        self.left -= 1
        if not self.left:
            self.finished.set()
            if self.on_end is not None:
                self.on_end()

    def answers(self) -> list[Generation]:
        """The answers in the order asked, or the first error."""
        for request in self.requests:
            if request.error is not None:
                raise request.error
        return [request.answer for request in self.requests if request.answer is not None]


def call_of(prompts: Sequence[Prompt], sampling: Sampling, alphabet: Alphabet, *, read_along: bool = False) -> Call:
    """A call of prompts with the same settings."""
    return Call(
        [
            Request(
                prompt=prompt,
                sampling=sampling,
                number=number,
                writing=Writing(alphabet, sampling.stop),
                pieces=SimpleQueue() if read_along else None,
            )
            for number, prompt in enumerate(prompts)
        ]
    )
