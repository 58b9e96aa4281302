"""What a new job is asked to do, checked as the real host checks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args

from finetune_kit.hosts import Method
from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator import checking
from finetune_kit.testing.simulator.flavour import Flavour
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import JsonObject

_COMMON = ("n_epochs", "batch_size", "learning_rate_multiplier")
_HYPERPARAMETERS: Mapping[str, tuple[str, ...]] = {
    "supervised": _COMMON,
    "dpo": ("beta", *_COMMON),
    "reinforcement": (*_COMMON, "compute_multiplier", "eval_interval", "eval_samples", "reasoning_effort"),
}
_MOST_SEED = 2**31 - 1
_WHOLE = {"n_epochs": 50, "batch_size": 256, "eval_interval": _MOST_SEED, "eval_samples": _MOST_SEED}
"""The most of each; the least is 1."""
_DECIMAL = {"learning_rate_multiplier": (0.0, None), "beta": (0.0, 2.0), "compute_multiplier": (0.00001, 10.0)}
"""Above which, and up to which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOrder:
    """The body of `POST /fine_tuning/jobs`, read."""

    model: str
    training_file: str
    validation_file: str | None
    method: Method
    hyperparameters: JsonObject
    """Numbers, or "auto"."""
    suffix: str | None
    seed: int | None
    metadata: dict[str, str] | None
    integrations: list[JsonValue]
    grader: JsonValue = None
    training_type: str | None = None


def read_order(body: JsonObject, flavour: Flavour) -> JobOrder:
    """The order, or a `Refusal` that names the first thing wrong with it."""
    model = checking.needed_text(body, "model")
    training_file = checking.needed_text(body, "training_file")
    suffix = checking.text(body, "suffix")
    if suffix is not None:
        checking.short(suffix, param="suffix", most=flavour.max_suffix_characters, least=1)
    seed = body.get("seed")
    if seed is not None:
        seed = checking.integer(seed, param="seed", least=0, most=_MOST_SEED)
    method, settings, grader = _method(body)
    integrations = body.get("integrations") or []
    if not isinstance(integrations, list):
        raise checking.wrong_type("integrations", "an array", integrations)
    return JobOrder(
        model=model,
        training_file=training_file,
        validation_file=checking.text(body, "validation_file"),
        method=method,
        hyperparameters=settings,
        suffix=suffix,
        seed=seed,
        metadata=checking.metadata(body.get("metadata")) if flavour.keeps_metadata else None,
        integrations=integrations,
        grader=grader,
        training_type=checking.text(body, "trainingType"),
    )


def _method(body: JsonObject) -> tuple[Method, JsonObject, JsonValue]:
    """By `method` as today, or by `hyperparameters` beside the model as in 2023."""
    given = checking.mapping(body.get("method"), param="method")
    old = checking.mapping(body.get("hyperparameters"), param="hyperparameters")
    if not given:
        return "supervised", _hyperparameters(old, "supervised", where="hyperparameters"), None
    kind = checking.one_of(checking.text(given, "type") or "", get_args(Method), param="method.type")
    inner = checking.mapping(given.get(kind), param=f"method.{kind}")
    if old and inner.get("hyperparameters"):
        raise Refusal.invalid("Cannot specify both 'method' and 'hyperparameters'.", param="hyperparameters")
    where = f"method.{kind}.hyperparameters"
    settings = old or checking.mapping(inner.get("hyperparameters"), param=where)
    if kind == "reinforcement" and not inner.get("grader"):
        param = "method.reinforcement.grader"
        raise Refusal.invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    return cast("Method", kind), _hyperparameters(settings, kind, where=where), inner.get("grader")


def _hyperparameters(given: JsonObject, method: str, *, where: str) -> JsonObject:
    known = _HYPERPARAMETERS[method]
    unknown = [name for name in given if name not in known]
    if unknown:
        param = f"{where}.{unknown[0]}"
        raise Refusal.invalid(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    return {name: _setting(name, given.get(name), where=where) for name in known}


def _setting(name: str, value: JsonValue, *, where: str) -> JsonValue:
    param = f"{where}.{name}"
    if value is None or value == "auto":
        return "default" if name == "reasoning_effort" and value is None else "auto"
    if name in _WHOLE:
        return checking.integer(value, param=param, least=1, most=_WHOLE[name])
    if name == "reasoning_effort":
        return checking.one_of(str(value), ("default", "low", "medium", "high"), param=param)
    above, most = _DECIMAL[name]
    return checking.number(value, param=param, above=above, most=most)
