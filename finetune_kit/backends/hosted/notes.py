"""The first event of a job whose model stands in for another: hosts know nothing of the one that was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_kit.backends.hosted.jobs import Jobs
from finetune_kit.backends.hosted.papers import Papers
from finetune_kit.backends.protocol import Event
from finetune_kit.errors import UnknownModelError


def with_note(events: Sequence[Event], job_id: str, jobs: Jobs, papers: Papers) -> list[Event]:
    """`events` with that one before them, where there is something to say."""
    card = papers.of_job(job_id)
    state = None
    if card is None:
        state = jobs.state(job_id)
        card = papers.rebuilt(state)
    if card.requested_model == card.base:
        return list(events)
    made = events[0].created_at if events else (state or jobs.state(job_id)).created_at
    message = _note(card.requested_model, card.base, papers)
    return [Event(id=f"ftk-note-{job_id}", created_at=made, level="warn", message=message), *events]


def _note(requested: str, base: str, papers: Papers) -> str:
    try:
        resolved = papers.profile.resolve(requested)
    except UnknownModelError:
        resolved = None
    if resolved is not None and resolved.model == base and resolved.note:
        return resolved.note
    return f"{base!r} stands in for {requested!r}."
