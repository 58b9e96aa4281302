"""Training options, each in its range and known to the host, before anything is uploaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import cast, get_args

from finetune_kit._arguments import number, whole_number
from finetune_kit._limits import checked_flag
from finetune_kit._quoting import quoted, shown
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import HostProfile
from finetune_kit.training_options import LearningRateSchedule, TrainingOptions

_MOST_RANK = 512
_MOST_ALPHA = 10_000
_MOST_NORM = 1e6
_MOST_EPOCHS = 100
_MOST_MODULES = 256
_LONGEST_MODULE = 200
_OF_LORA = ("lora_rank", "lora_alpha", "lora_target_modules")


def checked_options(profile: HostProfile, options: object, *, validated: bool) -> TrainingOptions | None:
    """The options with every value checked; None where nothing is asked for.

    `validated` tells whether there is a validation set, which some of them need.
    """
    if options is None:
        return None
    if not isinstance(options, TrainingOptions):
        raise ParameterError(
            f"options={shown(options)}: give TrainingOptions(...), such as TrainingOptions(lora_rank=32).",
            parameter="options",
        )
    asked = {one.name: value for one in fields(options) if (value := getattr(options, one.name)) is not None}
    for name, value in asked.items():
        if name not in profile.training_options:
            raise ParameterError(f"{name}={shown(value)}: {_not_taken(profile)}", parameter=name)
    checked = TrainingOptions(
        lora_rank=_whole(asked, "lora_rank", _MOST_RANK),
        lora_alpha=_alpha(asked),
        lora_target_modules=_modules(asked.get("lora_target_modules")),
        full_fine_tuning=_flag(asked, "full_fine_tuning"),
        early_stopping_patience=_whole(asked, "early_stopping_patience", _MOST_EPOCHS),
        best_checkpoint=_flag(asked, "best_checkpoint"),
        lr_scheduler_type=_schedule(asked.get("lr_scheduler_type")),
        warmup_ratio=_number(asked, "warmup_ratio", 1),
        max_grad_norm=_number(asked, "max_grad_norm", _MOST_NORM),
    )
    _check_together(checked, asked, validated=validated)
    return checked if asked else None


def _not_taken(profile: HostProfile) -> str:
    if not profile.training_options:
        return (
            f"{profile.name!r} is not known to take any such option (as of {profile.as_of}). Leave options out, or "
            "train on this machine: LocalBackend() has them."
        )
    taken = ", ".join(profile.training_options)
    return f"{profile.name!r} is known to take {taken} alone (as of {profile.as_of}). Leave it out."


def _check_together(checked: TrainingOptions, asked: Mapping[str, object], *, validated: bool) -> None:
    of_lora = next((name for name in _OF_LORA if name in asked), None)
    if checked.full_fine_tuning and of_lora is not None:
        raise ParameterError(
            f"{of_lora}={shown(asked[of_lora])} belongs to LoRA, which full_fine_tuning=True trains without. Leave one "
            "of them out.",
            parameter=of_lora,
        )
    if validated:
        return
    for name in ("early_stopping_patience", "best_checkpoint"):
        if asked.get(name):
            raise ParameterError(
                f"{name}={shown(asked[name])} needs a validation set to be measured by. Split off some examples, such "
                "as split(0.8), or leave it out.",
                parameter=name,
            )


def _whole(asked: Mapping[str, object], name: str, most: int) -> int | None:
    return None if name not in asked else whole_number(name, asked[name], 1, most)


def _number(asked: Mapping[str, object], name: str, most: float) -> float | None:
    return None if name not in asked else number(name, asked[name], 0, most)


def _flag(asked: Mapping[str, object], name: str) -> bool | None:
    return None if name not in asked else checked_flag(name, asked[name])


def _alpha(asked: Mapping[str, object]) -> float | None:
    alpha = _number(asked, "lora_alpha", _MOST_ALPHA)
    if alpha == 0:
        raise ParameterError(
            "lora_alpha=0: nothing would be learned. Twice lora_rank is usual.", parameter="lora_alpha"
        )
    return alpha


def _modules(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    told = shown(value)
    names: Sequence[object] = cast("Sequence[object]", value) if isinstance(value, tuple | list) else ()
    texts = tuple(name for name in names if isinstance(name, str) and 0 < len(name) <= _LONGEST_MODULE)
    if not texts or len(texts) < len(names) or len(names) > _MOST_MODULES:
        raise ParameterError(
            f"lora_target_modules={told}: give 1 to {_MOST_MODULES} names of linear layers, such as "
            "('q_proj', 'v_proj'); leave it out for all of them.",
            parameter="lora_target_modules",
        )
    twice = next((name for place, name in enumerate(texts) if name in texts[:place]), None)
    if twice is not None:
        raise ParameterError(
            f"lora_target_modules names {quoted(twice)} twice. Name each layer once.", parameter="lora_target_modules"
        )
    return texts


def _schedule(value: object) -> LearningRateSchedule | None:
    for known in cast("tuple[LearningRateSchedule, ...]", get_args(LearningRateSchedule)):
        if value == known:
            return known
    if value is None:
        return None
    names = ", ".join(map(repr, get_args(LearningRateSchedule)))
    raise ParameterError(
        f"lr_scheduler_type={shown(value)} is not known; there are {names}.", parameter="lr_scheduler_type"
    )
