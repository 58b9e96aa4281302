"""Whether a model can still be trained, and for how long what comes out will answer."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from finetune_kit._clock import clock
from finetune_kit._quoting import counted
from finetune_kit.errors import ModelClosedError

if TYPE_CHECKING:  # a profile asks for the day
    from finetune_kit.hosts.profile import HostProfile

DAYS_OF_WARNING = 90
_CHOOSE = (
    "Choose another one: finetune_kit.models() lists those of all hosts. backend=LocalBackend() trains on this "
    "machine, and job.migrate(to=...) what was trained here before."
)


def today() -> date:
    """This machine's date; the one place that asks for it."""
    return date.fromtimestamp(clock().now())  # noqa: DTZ012 - a host's last day is told without a time zone


def check_dates(profile: HostProfile, model: str, *, on: date | None = None) -> str | None:
    """What to warn of before `model` is trained there; `ModelClosedError` where it no longer can be.

    One text for all dates of the next 90 days, None where there is none. A model that the profile does not hold has no
    dates.
    """
    facts = profile.models.get(model)
    if facts is None:
        return None
    day = on or today()
    told = f"({facts.source}, as of {facts.as_of})"
    if facts.state(day) == "closed":
        raise ModelClosedError(
            f"{model} on {profile.name!r} was shut down on {facts.shuts_down}, and all that was trained from it "
            f"{told}. {_CHOOSE}",
            model=model,
        )
    if facts.state(day) == "inference only":
        raise ModelClosedError(
            f"{model} on {profile.name!r} takes no new training since {facts.training_ends}; models trained before "
            f"still answer {told}. {_CHOOSE}",
            model=model,
        )
    trains_until, answers_until = facts.training_ends, facts.shuts_down
    if trains_until is not None and answers_until is not None and trains_until >= answers_until:
        trains_until = None
    ends = (
        (trains_until, "takes no new training from", " on"),
        (answers_until, "is shut down on", ", with all that was trained from it"),
    )
    near = [
        f"{what} {end}{more}, in {counted((end - day).days, 'day')}"
        for end, what, more in ends
        if end is not None and (end - day).days <= DAYS_OF_WARNING
    ]
    if not near:
        return None
    about = f" Note: {facts.about}." if facts.about else ""
    return f"{model} on {profile.name!r} {', and '.join(near)} {told}.{about} To move elsewhere: job.migrate(to=...)."
