"""Answers of a model in memory: whole, or piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from finetune_kit.backends.local.adapters import Adapter
from finetune_kit.backends.local.batch import Prompt, SlotBatch
from finetune_kit.backends.local.decoder import Decoder
from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.local.padded import PaddedBatch
from finetune_kit.backends.local.prefix_cache import Prefixes
from finetune_kit.backends.local.requests import Call, call_of
from finetune_kit.backends.local.scheduler import Scheduler
from finetune_kit.backends.local.writing import Alphabet
from finetune_kit.backends.protocol import Generation, Sampling
from finetune_kit.errors import EngineError


@dataclass(slots=True)
class Served:
    """A base model, or one with an adapter merged into it, that answers in a thread of its own."""

    loaded: Loaded
    """Without its model where `decoder` has the weights."""
    decoder: Decoder | None
    scheduler: Scheduler
    alphabet: Alphabet
    prefixes: Prefixes = field(default_factory=Prefixes)

    @classmethod
    def of(cls, loaded: Loaded) -> Served:
        """A loaded model, which is taken apart where its architecture is a plain decoder's."""
        loaded.model.eval()
        decoder = Decoder.of(loaded.model)
        loaded = replace(loaded, model=None if decoder is not None else loaded.model)
        prefixes = Prefixes()
        batch = SlotBatch(decoder, prefixes) if decoder is not None else PaddedBatch(loaded.model)
        alphabet = Alphabet.of(loaded.encoder.tokenizer)
        encoder = loaded.encoder
        return cls(loaded, decoder, Scheduler(batch, alphabet, lambda: encoder.end), alphabet, prefixes)

    @property
    def encoder(self) -> Encoder:
        """Its tokenizer."""
        return self.loaded.encoder

    @property
    def size_bytes(self) -> int:
        """Of its weights."""
        if self.decoder is not None:
            return self.decoder.size_bytes
        return sum(one.numel() * one.element_size() for one in self.loaded.model.parameters())


@dataclass(frozen=True, slots=True)
class Answering:
    """A model to ask: what is served, seen through an adapter."""

    served: Served
    adapter: Adapter | None = None

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Generation]:
        """Go on from each prompt, in one batch with whatever else is asked; the answers come in the order asked."""
        return self.served.scheduler.wait(self._call(prompts, sampling)).answers()

    async def generate_async(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Generation]:
        """The same without blocking the event loop; a task that is cancelled takes its prompts back."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        call = self._call(prompts, sampling)

        def tell() -> None:
            if not over.done():
                over.set_result(None)

        def on_end() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell)

        call.on_end = on_end
        try:
            self.served.scheduler.submit(call)
            await over
        except BaseException:
            call.cancel()
            raise
        return call.answers()

    def stream(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[str]:
        """Go on from one prompt, piece by piece; whoever stops reading ends it."""
        call = self._call([prompt], sampling, read_along=True)
        request = call.requests[0]
        assert request.pieces is not None
        self.served.scheduler.submit(call)
        try:
            while (piece := request.pieces.get()) is not None:
                yield piece
        finally:
            call.cancel()
        call.answers()

    def forget_prefixes(self) -> None:
        """Free what is kept of the prompts of an adapter that is leaving."""
        self.served.scheduler.run(lambda: self.served.prefixes.forget(self.adapter))

    def _call(self, prompts: Sequence[Sequence[int]], sampling: Sampling, *, read_along: bool = False) -> Call:
        context = self.served.loaded.context_tokens
        check_length(context, prompts)
        asked = [
            Prompt(tuple(prompt), min(len(prompt) + sampling.max_tokens, context), self.adapter) for prompt in prompts
        ]
        return call_of(asked, sampling, self.served.alphabet, read_along=read_along)


def generate(loaded: Loaded, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Generation]:
    """Go on from each prompt with a model that serves nobody else."""
    with answering(loaded) as model:
        return model.generate(prompts, sampling)


@contextmanager
def answering(loaded: Loaded) -> Generator[Answering]:
    """A model to ask, until the end of the block."""
    served = Served.of(loaded)
    try:
        yield Answering(served)
    finally:
        served.scheduler.close()


def check_length(context_tokens: int, prompts: Sequence[Sequence[int]], *, room: int = 1) -> None:
    """Raise `EngineError` where a prompt leaves no room for `room` tokens more in what the model can see at once."""
    longest = max(map(len, prompts), default=0)
    if longest + room > context_tokens:
        raise EngineError(
            f"a prompt has {longest:,} tokens, and the model sees {context_tokens:,} at once, its "
            "answer included. Shorten the prompt."
        )
