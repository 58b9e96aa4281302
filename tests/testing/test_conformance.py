"""`check_backend` passes good backends and says what is wrong with each bad one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune_kit.backends import Backend, Event, FileState, Generation, JobSpec, JobState, LocalBackend, Sampling
from finetune_kit.backends.protocol import ChatMessages
from finetune_kit.cards import ModelCard
from finetune_kit.errors import JobNotFoundError, UnknownModelError
from finetune_kit.hosts import Resolved
from finetune_kit.testing import MemoryBackend, check_backend
from finetune_kit.uploads import SpooledFile


def test_memory_backend_keeps_every_promise() -> None:
    memory = MemoryBackend()
    names = check_backend(lambda: memory)
    assert {"files_come_back", "a_job_succeeds", "another_instance_knows_it_all"} <= set(names)


@pytest.mark.slow
def test_local_backend_keeps_every_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the local engine's packages are not installed")
    from tests.tiny import write_tiny_base

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for the workers, which have little to do
    base = str(write_tiny_base(tmp_path / "base"))
    check_backend(lambda: LocalBackend(home=tmp_path / "home", base=base, device="cpu"), patience_seconds=120)


class ResolvesAnything(MemoryBackend):
    def resolve(self, model: str) -> Resolved:
        return Resolved(requested=model, model="memory-1", note="Something else.")


class NamesNoKnownModels(MemoryBackend):
    def resolve(self, model: str) -> Resolved:
        try:
            return super().resolve(model)
        except UnknownModelError as error:
            raise UnknownModelError(str(error), model=model) from error


class SilentAboutStandIns(MemoryBackend):
    def start(self, spec: JobSpec) -> JobState:
        return super().start(replace(spec, model=spec.model.model_copy(update={"note": ""})))


class RaisesForeignErrors(MemoryBackend):
    def job(self, job_id: str) -> JobState:
        try:
            return super().job(job_id)
        except JobNotFoundError as error:
            raise KeyError(job_id) from error


class LosesALine(MemoryBackend):
    def upload(self, file: SpooledFile, **more: Any) -> FileState:
        return super().upload(SpooledFile.of(list(file.lines())[1:], filename=file.filename), **more)


class ForgetsTheCursor(MemoryBackend):
    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        return super().events(job_id)


class MissesEvents(MemoryBackend):
    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        found = super().events(job_id, after=after)
        return found if after is None else found[1:]


class NewestEventsFirst(MemoryBackend):
    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        return super().events(job_id, after=after)[::-1]


class NeverEnds(MemoryBackend):
    def __init__(self) -> None:
        super().__init__(advance_on_look=False)


class OldestJobsFirst(MemoryBackend):
    def jobs(self) -> list[JobState]:
        return super().jobs()[::-1]


class TakesAnyData(MemoryBackend):
    def upload(self, file: SpooledFile, **more: Any) -> FileState:
        lines = (line.replace(b'{"neither": ', b'{"prompt":"","completion": ') for line in file.lines())
        return super().upload(SpooledFile.of(lines, filename=file.filename), **more)


class FailsWithoutReason(MemoryBackend):
    def job(self, job_id: str) -> JobState:
        return replace(super().job(job_id), fault=None)


class CannotCancel(MemoryBackend):
    def cancel(self, job_id: str) -> JobState:
        return self.job(job_id)


class CannotPause(MemoryBackend):
    def pause(self, job_id: str) -> JobState:
        return self.job(job_id)


class ResumesByItself(MemoryBackend):
    def job(self, job_id: str) -> JobState:
        state = super().job(job_id)
        self.resume(job_id)
        return state


class CannotResume(MemoryBackend):
    def resume(self, job_id: str) -> JobState:
        return self._job(job_id).state


class LosesTheTemplate(MemoryBackend):
    def card(self, model: str) -> ModelCard:
        return super().card(model).model_copy(update={"template": None})


class NamesTheBaseInTheCard(MemoryBackend):
    def card(self, model: str) -> ModelCard:
        card = super().card(model)
        return card.model_copy(update={"name": card.base})


class WritesNonsenseResults(MemoryBackend):
    def file_content(self, file_id: str) -> bytes:
        content = super().file_content(file_id)
        return b"<html>" if content.startswith(b"step,") else content


class IgnoresTheStop(MemoryBackend):
    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        return super().complete(model, prompts, replace(sampling, stop=()))


class IgnoresMaxTokens(MemoryBackend):
    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        return super().complete(model, prompts, replace(sampling, max_tokens=256))


class AnswersOnce(MemoryBackend):
    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        return super().complete(model, prompts, sampling)[:1]


class RanksWithoutNorm(MemoryBackend):
    def rank(self, model: str, prompts: Sequence[str], completions: Sequence[str]) -> list[list[float]]:
        return [[2 * one for one in ranked] for ranked in super().rank(model, prompts, completions)]


class RanksChatsOnlyOnce(MemoryBackend):
    def rank_chat(self, model: str, conversations: Sequence[ChatMessages], answers: Sequence[str]) -> list[list[float]]:
        return super().rank_chat(model, conversations[:1], answers)


BROKEN: list[tuple[type[MemoryBackend], str]] = [
    (ResolvesAnything, "resolve with an unknown model raises nothing"),
    (NamesNoKnownModels, "the error's `known` lacks 'memory-1'"),
    (SilentAboutStandIns, "no event tells which model stands in"),
    (RaisesForeignErrors, "job with an unknown job raises KeyError"),
    (LosesALine, "comes back as"),
    (ForgetsTheCursor, "no_event_is_missed_or_repeated"),
    (MissesEvents, "no_event_is_missed_or_repeated"),
    (NewestEventsFirst, "events"),
    (NeverEnds, "a_job_succeeds: after 0.3 s the job is 'queued', and should be ended"),
    (OldestJobsFirst, "does not list the newest first"),
    (TakesAnyData, "ends as 'succeeded', not as 'failed'"),
    (FailsWithoutReason, "gives no reason"),
    (CannotCancel, "cancelled at once ends as 'succeeded'"),
    (CannotPause, "paused at once is 'succeeded'"),
    (ResumesByItself, "a paused job becomes 'validating_files' by itself"),
    (CannotResume, "the job is 'paused', and should be ended"),
    (LosesTheTemplate, "came back as None"),
    (NamesTheBaseInTheCard, "the card's name is 'memory-1'"),
    (WritesNonsenseResults, "the_result_file_holds_the_losses: it raised FormatError"),
    (IgnoresTheStop, "holds its stop sequence"),
    (IgnoresMaxTokens, "more than `max_tokens`"),
    (AnswersOnce, "complete gives 1 answers to 2 prompts"),
    (RanksWithoutNorm, "rank gives no probabilities that sum to 1"),
    (RanksChatsOnlyOnce, "rank_chat gives lists of [2] probabilities"),
]


@pytest.mark.parametrize(("kind", "sentence"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_promise_is_named(kind: type[MemoryBackend], sentence: str) -> None:
    backend = kind()
    with pytest.raises(AssertionError) as raised:
        check_backend(lambda: backend, patience_seconds=0.3)
    assert sentence in str(raised.value)


def test_two_instances_must_share_their_place() -> None:
    with pytest.raises(
        AssertionError, match="1 of 18 checks failed:\n- another_instance_knows_it_all: it raised JobNotFound"
    ):
        check_backend(MemoryBackend)


def test_an_error_that_is_not_ours_is_called_so() -> None:
    def no_backend() -> Backend:
        raise OSError("no route")

    with pytest.raises(AssertionError, match=r"OSError\('no route'\), which is none of finetune_kit's errors"):
        check_backend(no_backend)
