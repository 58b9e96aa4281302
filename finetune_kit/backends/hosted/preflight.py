"""What would stop a job from starting, asked of the host before anything is uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from finetune_kit._clock import clock
from finetune_kit._quoting import counted
from finetune_kit._warning import warn_user
from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.asking import READ_SECONDS, Asker
from finetune_kit.backends.hosted.listing import everything
from finetune_kit.backends.hosted.names import final_model
from finetune_kit.backends.hosted.objects.values import Members, count, items, members, moment, text
from finetune_kit.backends.hosted.statuses import NOT_OFFERED
from finetune_kit.errors import AccessError, JobSlotsError, ModelClosedError, RequestRefusedError, ShutdownWarning
from finetune_kit.hosts import DAYS_OF_WARNING, Resolved, today
from finetune_kit.records import JsonValue

_SECONDS_OF_A_DAY = 86_400
_FIRST_YEAR = 2000  # 0 and the like are no days


def check_before_start(asker: Asker, model: Resolved) -> None:
    """Raise what the host would say, each with its own error; hosts that cannot be asked are not punished.

    Asking proves the key as well. Whether an organisation may train at all, a host tells by its limits, if at all
    before a job is started.
    """
    listed = _listed(asker)
    profile = asker.host.profile
    if listed is not None:
        found = [one for one in listed if one.get("id") in {model.model, model.base or model.model}]
        _check_open(asker, found, model)
        # Checkpoints can be trained further, and not every list has them.
        seen = any(one.get("id") == model.model for one in found) or final_model(model.model) != model.model
        if profile.lists_models and listed and not seen:
            raise AccessError(
                f"{asker.host.address} does not list the model {model.model!r} for this key: it was taken away, or the "
                f"key's project may not use it. It lists {_some(listed)}.",
                code="model_not_listed",
            )
    if profile.tells_job_limits:
        _check_limits(asker, model)


def shutdown_dates(asker: Asker) -> dict[str, date | None]:
    """The host's own word for when its models stop to answer, for those that it lists; nothing where it lists none.

    OpenAI tells `shutdown_date`, Azure `deprecation` with a moment for `inference`.
    """
    listed = _listed(asker) or []
    named = ((text(one.get("id")), one) for one in listed if "shutdown_date" in one or "deprecation" in one)
    return {name: _last_day(one) for name, one in named if name is not None}


def _last_day(listed: Members) -> date | None:
    return _day(listed.get("shutdown_date")) or _day(members(listed.get("deprecation")).get("inference"))


def _listed(asker: Asker) -> list[Members] | None:
    ask = Ask(path="/models", what="the host's models cannot be listed", timeout_seconds=READ_SECONDS)
    try:
        return [members(one) for one in everything(asker, ask, limit=None)]
    except RequestRefusedError as error:
        if error.code == NOT_OFFERED:
            return None
        raise


def _check_open(asker: Asker, found: Sequence[Members], model: Resolved) -> None:
    """OpenAI tells `shutdown_date`, Azure `capabilities` and `deprecation`."""
    if any(members(one.get("capabilities")).get("fine_tune") is False for one in found) and not model.base:
        raise ModelClosedError(f"the host says that {model.model!r} cannot be fine-tuned.", model=model.model)
    told = [one.get("shutdown_date") for one in found]
    told += [members(one.get("deprecation")).get("fine_tune") for one in found]
    ends = [day for day in map(_day, told) if day is not None]
    if not ends:
        return
    last, now = min(ends), today()
    if last <= now:
        raise ModelClosedError(
            f"the host shut {model.model!r} down on {last}, or takes no more training on it since then. "
            "Train another model: finetune_kit.models() lists them.",
            model=model.model,
        )
    if (last - now).days <= DAYS_OF_WARNING and not _was_warned_of(asker, model, last):
        warn_user(
            ShutdownWarning(
                f"{model.model!r} will be shut down, or take no more training, on {last}, in "
                f"{counted((last - now).days, 'day')}, says the host: sooner than is on file. What is trained on it "
                "ends with it. finetune_kit.refresh_models() keeps what the host says.",
                model=model.model,
            )
        )


def _was_warned_of(asker: Asker, model: Resolved, last: date) -> bool:
    """Whether a day that is on file, of which the door of `train` has warned, is as near."""
    facts = asker.host.profile.models.get(model.base or model.model)
    known = () if facts is None else (facts.training_ends, facts.shuts_down)
    return any(day is not None and day <= last for day in known)


def _check_limits(asker: Asker, model: Resolved) -> None:
    path = "/fine_tuning/model_limits"
    ask = Ask(path=path, what="the limits of jobs cannot be read", timeout_seconds=READ_SECONDS)
    try:
        told = items(asker.read(ask).get("data"))
    except RequestRefusedError as error:
        if error.code == NOT_OFFERED:
            return
        raise
    name = model.base or model.model
    limits = next((one for one in map(members, told) if one.get("id") in {name, model.model}), None)
    if limits is None:
        return
    pending, most_pending = count(limits.get("curr_pending_jobs")), count(limits.get("max_pending_jobs"))
    if most_pending is not None and pending is not None and pending >= most_pending:
        raise JobSlotsError(
            f"{pending} jobs on {name!r} wait or run already, as many as {asker.host.address} allows. Wait for one to "
            "end, or cancel one."
        )
    started, most_a_day = count(limits.get("jobs_so_far_today")), count(limits.get("max_jobs_per_day"))
    if most_a_day is not None and started is not None and started >= most_a_day:
        raise JobSlotsError(
            f"{started} jobs on {name!r} were started today, as many as {asker.host.address} allows. Start it "
            "tomorrow.",
            retry_after_seconds=_SECONDS_OF_A_DAY - clock().now() % _SECONDS_OF_A_DAY,
        )


def _day(value: JsonValue) -> date | None:
    found = moment(value)
    return None if found is None or found.year < _FIRST_YEAR else found.date()


def _some(listed: Sequence[Members]) -> str:
    names = [name for one in listed if (name := text(one.get("id"))) is not None]
    return ", ".join(map(repr, names[:12])) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
