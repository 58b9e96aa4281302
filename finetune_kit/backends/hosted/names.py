"""What a model's name means on a host: a base model, an alias, or a model that was fine-tuned there."""

from __future__ import annotations

import re
from functools import lru_cache

from finetune_kit.hosts import HostProfile, Resolved

_FINE_TUNED = r"ft:(?P<base>[^:]+)(?::.*)?|(?P<azure>.+)\.ft-[\w-]+"
"""As OpenAI and Azure name them; a profile may say otherwise."""
_CHECKPOINT = re.compile(r":ckpt-step-\d+$")
_LONGEST = 512


def resolve(model: str, profile: HostProfile) -> Resolved:
    """What `model` means, or `UnknownModelError`; the host is not asked."""
    base = base_of(model, profile)
    if base is not None:
        return Resolved(requested=model, model=model, base=base)
    if profile.any_model and model and not profile.knows(model) and len(model) <= _LONGEST and model.isprintable():
        return Resolved(requested=model, model=model)
    return profile.resolve(model)


def base_of(model: str, profile: HostProfile) -> str | None:
    """The base of a fine-tuned model, by its name; None for other names.

    A base that the host's profile does not know makes it a name that means nothing, unless the host takes any.
    """
    if len(model) > _LONGEST or not model.isprintable():
        return None
    match = _pattern(profile.fine_tuned_pattern or _FINE_TUNED).fullmatch(model)
    if match is None:
        return None
    groups = match.groupdict()
    base = groups.get("base") or groups.get("azure") or ""
    if profile.knows(base):
        return profile.resolve(base).model
    return base if profile.any_model or not profile.models else None


def final_model(model: str) -> str:
    """The model that a checkpoint's name begins with; other names as they are."""
    return _CHECKPOINT.sub("", model)


@lru_cache(maxsize=64)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
