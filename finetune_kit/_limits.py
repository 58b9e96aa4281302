"""What a host would refuse, refused before anything is uploaded."""

from __future__ import annotations

import sys

from finetune_kit._arguments import number, string, whole_number
from finetune_kit.cards import Hyperparameters
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import HostProfile

_LONGEST_NAME = 64
_ANY = (1, None)
"""Where the host names no range, it is the host that refuses."""


def checked_hyperparameters(
    profile: HostProfile,
    *,
    n_epochs: object,
    batch_size: object,
    learning_rate_multiplier: object,
    prompt_loss_weight: object,
) -> Hyperparameters:
    """The settings of a training, each in the host's range; None where the choice is the host's."""
    return Hyperparameters(
        n_epochs=whole_number("n_epochs", n_epochs, *(profile.n_epochs_range or _ANY)),
        batch_size=None
        if batch_size is None
        else whole_number("batch_size", batch_size, *(profile.batch_size_range or _ANY)),
        learning_rate_multiplier=_multiplier(profile, learning_rate_multiplier),
        prompt_loss_weight=None
        if prompt_loss_weight is None
        else number(
            "prompt_loss_weight",
            prompt_loss_weight,
            0,
            1,
            meaning=": at 0 prompts are not learned, at 1 like completions",
        ),
    )


def _multiplier(profile: HostProfile, value: object) -> float | None:
    if value is None:
        return None
    name = "learning_rate_multiplier"
    most = profile.learning_rate_multiplier_max or sys.float_info.max
    multiplier = number(name, value, 0, most, meaning="; 0.02 to 0.2 are worth trying")
    if not multiplier:
        raise ParameterError(f"{name}=0: nothing would be learned. 0.02 to 0.2 are worth trying.", parameter=name)
    return multiplier


def checked_suffix(profile: HostProfile, suffix: object) -> str | None:
    """The part of a model's name that the user chooses."""
    if suffix is None:
        return None
    name, most = string("suffix", suffix), profile.max_suffix_characters
    if not 0 < len(name) <= (most or _LONGEST_NAME) or not all(letter.isalnum() or letter in "-_" for letter in name):
        raise ParameterError(
            f"suffix={suffix!r}: give 1 to {most or _LONGEST_NAME} letters, digits, dashes or underscores.",
            parameter="suffix",
        )
    return name
