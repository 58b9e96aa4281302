"""What a model's name means on a host: a base model, an alias, or a model that was fine-tuned there."""

from __future__ import annotations

import re

from finetune_kit.hosts import HostProfile, Resolved

_CHECKPOINT = re.compile(r":ckpt-step-\d+$")
_LONGEST = 512


def resolve(model: str, profile: HostProfile) -> Resolved:
    """What `model` means, or `UnknownModelError`; the host is not asked."""
    if not model or len(model) > _LONGEST or not model.isprintable():
        raise profile.unknown(model[:_LONGEST])
    base = base_of(model, profile)
    return profile.resolve(model) if base is None else Resolved(requested=model, model=model, base=base)


def base_of(model: str, profile: HostProfile) -> str | None:
    """The base of a fine-tuned model or of a checkpoint, by its name; None where it does not look like one."""
    return None if model in profile.models else profile.fine_tuned_base(final_model(model)) or None


def final_model(model: str) -> str:
    """The model that a checkpoint's name begins with; other names as they are."""
    return _CHECKPOINT.sub("", model)
