"""What the conformance suite tries a backend with: a few rows, and jobs that it follows to their end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from finetune_kit.backends import Backend, Event, Generation, JobSpec, JobState, Sampling
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.hosts import Resolved
from finetune_kit.records import Kind
from finetune_kit.templates import PromptTemplate
from finetune_kit.uploads import SpooledFile

TEMPLATE = PromptTemplate(separator=" ->", stop="\n", leading_space=True)
LABELS = ("refund", "track")
PROMPTS = ("Where is parcel 7?", "I want the money for order 8 back")
_LOOK_SECONDS = 0.05


def promise(kept: bool, sentence: str) -> None:  # noqa: FBT001 - it reads as a sentence: promise(a == b, "…")
    """Raise `AssertionError` with the sentence, also where Python runs without assertions."""
    if not kept:
        raise AssertionError(sentence)


def adds_up(call: str, ranked: Sequence[Sequence[float]], *, rows: int) -> None:
    """One list for each prompt, of one probability for each label."""
    shape = [len(probabilities) for probabilities in ranked]
    promise(shape == [len(LABELS)] * rows, f"{call} gives lists of {shape} probabilities for {len(LABELS)} labels.")
    sound = all(abs(sum(one) - 1) < 1e-3 and min(one) >= 0 for one in ranked)
    promise(sound, f"{call} gives no probabilities that sum to 1: {ranked}.")


@dataclass(frozen=True, slots=True)
class Run:
    """A job that has ended, and what was seen of it on the way."""

    spec: JobSpec
    state: JobState
    events: Sequence[Event]

    @property
    def model(self) -> str:
        """The fine-tuned model's name."""
        return self.state.fine_tuned_model or ""


@dataclass(frozen=True)
class Trial:
    """A backend on trial."""

    make: Callable[[], Backend]
    base: str | None
    patience_seconds: float

    @cached_property
    def backend(self) -> Backend:
        """The object that all checks but one use."""
        return self.make()

    @cached_property
    def model(self) -> str:
        """The base model to train."""
        return self.base or next(iter(self.backend.profile.models))

    @cached_property
    def kind(self) -> Kind:
        """Prompts and completions, unless the model takes conversations alone."""
        kinds = self.backend.profile.kinds_of(self.model)
        return "completion" if not kinds or "completion" in kinds else "chat"

    @property
    def template(self) -> PromptTemplate | None:
        """Of the prompts; conversations have none."""
        return TEMPLATE if self.kind == "completion" else None

    @property
    def asked_for(self) -> Resolved:
        """A stand-in for the base model where there is one, so that its note can be looked for."""
        aliases = self.backend.profile.aliases
        return self.backend.resolve(next((name for name in aliases if aliases[name] == self.model), self.model))

    def start(self, *, kind: Kind | None = None, lines: Sequence[bytes] | None = None) -> tuple[JobSpec, JobState]:
        """A job on the trial's rows, or on `lines`."""
        resolved, kind = self.asked_for, kind or self.kind
        spec = JobSpec(
            model=resolved,
            training_file=self.upload(_lines(kind, range(6)) if lines is None else lines, "training.jsonl"),
            validation_file=self.upload(_lines(kind, range(90, 92)), "validation.jsonl"),
            hyperparameters=Hyperparameters(n_epochs=2),
            suffix="check",
            seed=1,
            card=ModelCard(
                base=resolved.model,
                requested_model=resolved.requested,
                backend=self.backend.profile.name,
                kind=kind,
                template=TEMPLATE if kind == "completion" else None,
                labels=LABELS,
            ),
        )
        return spec, self.backend.start(spec)

    def upload(self, lines: Sequence[bytes], filename: str) -> str:
        """Store a file; its id."""
        marked = self.backend.profile.byte_order_mark
        with SpooledFile.of(lines, filename=filename, byte_order_mark=marked) as file:
            return self.backend.upload(file).id

    def answers(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        """What a model writes to each, asked as it was trained."""
        if self.kind == "completion":
            return self.backend.complete(model, [TEMPLATE.prompt(prompt) for prompt in prompts], sampling)
        return self.backend.chat(model, [[{"role": "user", "content": prompt}] for prompt in prompts], sampling)

    def until(self, job_id: str, done: Callable[[JobState], bool], expected: str) -> JobState:
        """The job's state as soon as it is `done`, or has ended otherwise."""
        for state in self._looks(job_id, expected):
            if done(state) or state.finished:
                return state
        raise AssertionError  # never: the looks go on until one of the two

    def follow(self, spec: JobSpec, job_id: str) -> Run:
        """See a job to its end, asking each time for the events since the last one seen."""
        seen: list[Event] = []
        for state in self._looks(job_id, "ended"):
            seen += self.backend.events(job_id, after=seen[-1].id if seen else None)
            if state.finished:
                return Run(spec, state, seen)
        raise AssertionError  # as in `until`

    def succeed(self) -> Run:
        """A job on good data, from its start to its success."""
        self.backend.preflight(self.asked_for)
        spec, started = self.start()
        run = self.follow(spec, started.id)
        promise(run.state.status == "succeeded", f"a job on good data ends as {run.state.status!r}: {run.state.fault}.")
        promise(bool(run.model), "a job that has succeeded names no fine-tuned model.")
        return run

    def _looks(self, job_id: str, expected: str) -> Iterator[JobState]:
        deadline = time.monotonic() + self.patience_seconds
        while True:
            state = self.backend.job(job_id)
            yield state
            promise(
                time.monotonic() < deadline,
                f"after {self.patience_seconds:g} s the job is {state.status!r}, and should be {expected}.",
            )
            time.sleep(_LOOK_SECONDS)


def _lines(kind: Kind, numbers: range) -> list[bytes]:
    asked = [(f"Where is parcel {number}?", "track") for number in numbers]
    asked += [(f"I want the money for order {number} back", "refund") for number in numbers]
    return [json.dumps(_row(kind, prompt, answer), ensure_ascii=False).encode() for prompt, answer in asked]


def _row(kind: Kind, prompt: str, answer: str) -> dict[str, object]:
    if kind == "completion":
        return {"prompt": TEMPLATE.prompt(prompt), "completion": TEMPLATE.completion(answer)}
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]}
