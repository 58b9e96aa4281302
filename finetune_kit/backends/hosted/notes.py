"""The first event of a job that is not quite what was asked for: hosts know nothing of that."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_kit.backends.hosted.jobs import Jobs
from finetune_kit.backends.hosted.names import base_of
from finetune_kit.backends.hosted.papers import Papers
from finetune_kit.backends.protocol import Event
from finetune_kit.errors import UnknownModelError
from finetune_kit.hosts import HostProfile


def with_note(events: Sequence[Event], job_id: str, jobs: Jobs, papers: Papers) -> list[Event]:
    """`events` with that one before them, where there is something to say."""
    card = papers.of_job(job_id)
    state = None
    if card is None:
        state = jobs.state(job_id)
        card = papers.rebuilt(state)
    message = " ".join(card.notes) or _stand_in(card.requested_model, card.base, papers.profile)
    if not message:
        return list(events)
    made = events[0].created_at if events else (state or jobs.state(job_id)).created_at
    return [Event(id=f"ftk-note-{job_id}", created_at=made, level="warn", message=message), *events]


def _stand_in(requested: str, base: str, profile: HostProfile) -> str:
    """What a card from another machine leaves to be said."""
    if requested == base or base_of(requested, profile) is not None:
        return ""
    try:
        resolved = profile.resolve(requested)
    except UnknownModelError:
        resolved = None
    if resolved is not None and resolved.model == base and resolved.note:
        return resolved.note
    return f"{base!r} stands in for {requested!r}."
