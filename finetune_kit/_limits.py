"""What a host would refuse, refused before anything is uploaded."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TypeGuard, cast, get_args

from finetune_kit._arguments import number, string, whole_number
from finetune_kit._quoting import quoted, shown
from finetune_kit.cards import Hyperparameters
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import HostProfile, Method, today
from finetune_kit.records import Kind

_LONGEST_NAME = 64
_ANY = (1, None)
"""Where the host names no range, it is the host that refuses."""
_USUAL_MULTIPLIERS = "0.02 to 0.2 are worth trying"
_LARGEST_RATE = 0.01
_LARGEST_BETA = 2.0
_RESERVED = "ftk_"
_OUR_PAIRS = 2
"""Of a job's metadata: the token by which it is found again, and the template with which its model is called."""


def checked_hyperparameters(
    profile: HostProfile,
    *,
    method: Method,
    n_epochs: object,
    batch_size: object,
    learning_rate_multiplier: object,
    prompt_loss_weight: object,
    beta: object,
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
        beta=_beta(profile, method, beta),
    )


def _multiplier(profile: HostProfile, value: object) -> float | None:
    if value is None:
        return None
    name = "learning_rate_multiplier"
    most, meaning = profile.learning_rate_multiplier_max or sys.float_info.max, f"; {_USUAL_MULTIPLIERS}"
    if profile.learning_rate_is_absolute:
        most = min(most, _LARGEST_RATE)
        meaning = f": {profile.name!r} takes it as the learning rate itself, of which 2e-5 is usual"
    multiplier = number(name, value, 0, most, meaning=meaning)
    if not multiplier:
        raise ParameterError(f"{name}=0: nothing would be learned. {_USUAL_MULTIPLIERS}.", parameter=name)
    return multiplier


def _beta(profile: HostProfile, method: Method, value: object) -> float | None:
    if value is None:
        return None
    meaning = "; the smaller it is, the further the model goes from its base"
    beta = number("beta", value, 0, _LARGEST_BETA, meaning=meaning)
    if not beta:
        raise ParameterError("beta=0: give a number above 0, up to 2; 0.1 is usual.", parameter="beta")
    if method != "dpo":
        raise ParameterError(
            f'beta={shown(value)} belongs to direct preference optimization: pass method="dpo" with it, or leave it '
            "out.",
            parameter="beta",
        )
    if not profile.takes_beta:
        raise ParameterError(
            f"beta={shown(value)}: {profile.name!r} is not known to take one (as of {profile.as_of}). Leave it out.",
            parameter="beta",
        )
    return beta


def checked_batch(profile: HostProfile, settings: Hyperparameters, *, rows: int, validated: bool) -> Hyperparameters:
    """A batch that the examples fill, where the host wants more examples than that.

    The host's usual size gives way to its smallest; `ParameterError` where even that is too large, or where the size
    was chosen.
    """
    size = settings.batch_size or profile.extra_hyperparameters.get("batch_size")
    if not profile.more_examples_than_batch or not isinstance(size, int):
        return settings
    trained = rows if validated else int(rows * (1 - profile.held_out_share))
    least = (profile.batch_size_range or _ANY)[0]
    if trained > size:
        return settings
    if settings.batch_size is None and trained > least:
        return settings.model_copy(update={"batch_size": least})
    without = "" if validated else f", since it keeps {profile.held_out_share:.0%} of the file for validation"
    advice = f"Pass batch_size={least}, or add examples." if trained > least else "Add examples."
    raise ParameterError(
        f"batch_size={settings.batch_size or least}: {profile.name!r} fails jobs that do not train on more examples "
        f"than one batch holds (as of {profile.as_of}), and it would train on {trained} here{without}. {advice}",
        parameter="batch_size",
    )


def checked_loss_weight(
    profile: HostProfile, weight: float | None, *, conversations: bool, pairs: bool = False
) -> float | None:
    """What is to be sent of the loss weight of prompts: nothing where the host does by itself what is asked for."""
    name = "" if weight is None else f"prompt_loss_weight={weight:g}"
    if pairs and weight:
        raise ParameterError(
            f"{name}: of preference pairs the answers alone count, which is prompt_loss_weight=0. Leave it out.",
            parameter="prompt_loss_weight",
        )
    if weight is None or profile.prompt_loss_weight:
        return weight
    if not conversations:
        raise ParameterError(
            f"{name}: {profile.name!r} has no such setting, and how it weighs prompts is not known (as of "
            f"{profile.as_of}). Leave it out, or train on this machine: LocalBackend() has it.",
            parameter="prompt_loss_weight",
        )
    if weight:
        raise ParameterError(
            f"{name}: {profile.name!r} trains on what the assistant says and on nothing else, which is "
            "prompt_loss_weight=0. Leave it out, or train on this machine: LocalBackend() has it.",
            parameter="prompt_loss_weight",
        )
    return None


def checked_method(profile: HostProfile, base: str, method: object, kind: Kind) -> Method:
    """How to train: offered by the host, and by this model, for examples of this kind."""
    word = string("method", method)
    if not _is_method(word):
        names = ", ".join(map(repr, get_args(Method)))
        raise ParameterError(f"method={shown(word)} is not known; there are {names}.", parameter="method")
    if word == "reinforcement":
        raise ParameterError(
            "method='reinforcement' needs a grader that scores each answer, which this version does not take. Train on "
            "good answers (supervised) or on pairs of answers (dpo).",
            parameter="method",
        )
    _check_kind(word, kind)
    _check_offered(profile, base, word)
    return word


def _is_method(word: str) -> TypeGuard[Method]:
    return word in get_args(Method)


def _check_kind(method: Method, kind: Kind) -> None:
    if method == "dpo" and kind != "preference":
        raise ParameterError(
            f"method='dpo' learns from preference pairs, and these are {kind} examples. Leave method out, or give each "
            "question two answers: 'input', 'preferred_output' and 'non_preferred_output'.",
            parameter="method",
        )
    if method == "supervised" and kind == "preference":
        raise ParameterError(
            'these are preference pairs, which supervised training does not know. Pass method="dpo" where the host '
            "offers direct preference optimization, or train on the preferred answers alone: data.to_chat().",
            parameter="method",
        )


def _check_offered(profile: HostProfile, base: str, method: Method) -> None:
    if profile.methods and method not in profile.methods:
        offered = " and ".join(map(repr, profile.methods))
        raise ParameterError(
            f"method={method!r}: {profile.name!r} offers {offered} alone (as of {profile.as_of}). {_elsewhere(method)}",
            parameter="method",
        )
    facts = profile.models.get(base)
    if facts is not None and facts.methods and method not in facts.methods:
        day = today()
        others = [
            name for name, one in profile.models.items() if method in one.methods and one.state(day) == "trainable"
        ]
        instead = f"Models there that learn so: {', '.join(others)}." if others else _elsewhere(method)
        raise ParameterError(
            f"method={method!r}: {base} on {profile.name!r} learns by {' and '.join(map(repr, facts.methods))} alone "
            f"(as of {facts.as_of}). {instead}",
            parameter="method",
        )


def _elsewhere(method: Method) -> str:
    if method == "dpo":
        return "Train on the preferred answers alone (data.to_chat()), or on a host that offers it, such as 'openai'."
    return "Choose another host or model: finetune_kit.models() lists them."


def checked_suffix(profile: HostProfile, suffix: object) -> str | None:
    """The part of a model's name that the user chooses."""
    if suffix is None:
        return None
    name, most = string("suffix", suffix), profile.max_suffix_characters or _LONGEST_NAME
    hosted = profile.runs_jobs  # names travel in addresses there
    fits = all((letter.isalnum() and (letter.isascii() or not hosted)) or letter in "-_" for letter in name)
    if not 0 < len(name) <= most or not fits:
        letters = "letters from A to z" if hosted else "letters"
        raise ParameterError(
            f"suffix={quoted(name)}: give 1 to {most} {letters}, digits, dashes or underscores.", parameter="suffix"
        )
    return name


def checked_seed(profile: HostProfile, seed: object) -> int:
    """What makes a training repeatable; 0 by default, so that it is."""
    if seed is not None and not profile.takes_seed:
        raise ParameterError(
            f"seed={shown(seed)}: {profile.name!r} is not known to take one (as of {profile.as_of}). Leave it out.",
            parameter="seed",
        )
    return 0 if seed is None else whole_number("seed", seed, 0, profile.max_seed)


def checked_metadata(profile: HostProfile, metadata: object) -> dict[str, str]:
    """Words of the user's own that stay with the job."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise _metadata_error(f"metadata is {type(metadata).__name__}, not a dict of text to text.")
    pairs = {
        _metadata_text("a key of metadata", key, profile.max_metadata_key_characters): value
        for key, value in cast("Mapping[object, object]", metadata).items()
    }
    checked = {
        key: _metadata_text(f"metadata[{quoted(key)}]", value, profile.max_metadata_value_characters)
        for key, value in pairs.items()
    }
    if not all(checked):
        raise _metadata_error("a key of metadata is empty. Give it a name.")
    taken = sorted(key for key in checked if key.startswith(_RESERVED))
    if taken:
        raise _metadata_error(f"metadata[{quoted(taken[0])}]: keys that begin with {_RESERVED!r} are this library's.")
    if checked and not profile.keeps_metadata:
        raise _metadata_error(
            f"metadata: {profile.name!r} is not known to keep any with a job (as of {profile.as_of}). Leave it out."
        )
    most = max(0, profile.max_metadata_pairs - _OUR_PAIRS)
    if len(checked) > most:
        raise _metadata_error(
            f"metadata has {len(checked)} pairs: {profile.name!r} keeps {profile.max_metadata_pairs} with a job, and "
            f"{_OUR_PAIRS} are this library's. Give at most {most}."
        )
    return checked


def _metadata_text(name: str, value: object, most: int) -> str:
    if not isinstance(value, str):
        raise _metadata_error(f"{name} is {type(value).__name__}, not text. Pass a string.")
    if any("\ud800" <= letter <= "\udfff" for letter in value):  # which no host's JSON can hold
        raise _metadata_error(f"{name} holds half a character, {quoted(value)}. Pass text that UTF-8 can write.")
    if len(value) > most:
        raise _metadata_error(f"{name} has {len(value):,} characters. Give at most {most}: {quoted(value)}.")
    return value


def _metadata_error(message: str) -> ParameterError:
    return ParameterError(message, parameter="metadata")


def checked_flag(name: str, value: object) -> bool:
    """True or False, and nothing that only looks like it."""
    if isinstance(value, bool):
        return value
    raise ParameterError(f"{name}={shown(value)}: give True or False.", parameter=name)
