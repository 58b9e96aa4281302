"""When a model that was fine-tuned at a host stops to answer, as far as it is known on this machine."""

from __future__ import annotations

from datetime import date

from finetune_kit._quoting import counted
from finetune_kit._warning import warn_user
from finetune_kit.errors import ShutdownWarning
from finetune_kit.hosts.calendar import DAYS_OF_WARNING, today
from finetune_kit.hosts.profile import HostProfile
from finetune_kit.hosts.told import Told, told_by_hosts, told_file

_CHOOSE = "finetune_kit.models() lists others."
_KEEP = (
    "To keep what it can do: finetune_kit.archive_all(backend, folder) brings its data and answers home, and "
    "job.migrate(to=...) trains it elsewhere."
)


def last_day(base: str, fine_tuned: str | None, *, profile: HostProfile | None, told: Told | None) -> date | None:
    """As the host itself told it of the fine-tuned model, else that of its base; None where no end is known."""
    if told is not None and fine_tuned in told.shuts_down:
        return told.shuts_down[fine_tuned]
    facts = None if profile is None else profile.facts_of(base)
    return None if facts is None else facts.shuts_down


def warn_of_closing(profile: HostProfile, *, base: str, model: str) -> None:
    """Warn somebody who asks a model that stops to answer within 90 days.

    Of one that has stopped already the host's own refusal tells.
    """
    last = last_day(base, model, profile=profile, told=told_by_hosts(told_file()).get(profile.name))
    if last is None or not 0 < (left := (last - today()).days) <= DAYS_OF_WARNING:
        return
    when = f"{model} on {profile.name!r} is shut down on {last}, in {counted(left, 'day')}, as far as is known here."
    hint = _CHOOSE if model == base else _KEEP
    warn_user(ShutdownWarning(f"{when} {hint}", model=model))
