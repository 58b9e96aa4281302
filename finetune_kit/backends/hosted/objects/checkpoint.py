"""A checkpoint of a job as a host sends it."""

from __future__ import annotations

from finetune_kit.backends.hosted.objects.values import UNKNOWN_MOMENT, count, members, moment, number, text
from finetune_kit.backends.protocol import Checkpoint
from finetune_kit.records import JsonValue


def read_checkpoint(value: JsonValue) -> Checkpoint | None:
    """A checkpoint, or None for what cannot be called by any name."""
    found = members(value)
    name = text(found.get("fine_tuned_model_checkpoint")) or text(found.get("id"))
    if name is None:
        return None
    told = members(found.get("metrics"))
    step = count(found.get("step_number"))
    return Checkpoint(
        id=text(found.get("id")) or name,
        name=name,
        step=(count(told.get("step")) or 0) if step is None else step,
        created_at=moment(found.get("created_at")) or UNKNOWN_MOMENT,
        metrics={key: measured for key, one in told.items() if (measured := number(one)) is not None},
    )
