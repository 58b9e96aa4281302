"""The body of a job's creation, in the words of each host."""

from __future__ import annotations

import json
from dataclasses import asdict

from finetune_kit.backends.protocol import JobSpec
from finetune_kit.cards import ModelCard
from finetune_kit.hosts import HostProfile
from finetune_kit.records import JsonValue

TOKEN = "ftk_token"
"""The key in a job's metadata that tells which specification it came of."""
ORDER = "ftk_order"
"""The key for what was ordered, by which a job is found where neither its token nor the account's key is known."""
TEMPLATE = "ftk_template"
"""The key for what another machine must know to call the model rightly."""


def body_of(spec: JobSpec, profile: HostProfile) -> dict[str, JsonValue]:
    """Only what was chosen is in it: what is left out, the host decides."""
    body: dict[str, JsonValue] = {"model": spec.model.model, "training_file": spec.training_file}
    if spec.validation_file is not None:
        body["validation_file"] = spec.validation_file
    if spec.suffix is not None:
        body["suffix"] = spec.suffix
    body["seed"] = spec.seed % (profile.max_seed + 1)
    chosen = _chosen(spec)
    if profile.hyperparameters_in == "method":
        body["method"] = {"type": spec.method, spec.method: {"hyperparameters": chosen}}
    else:
        body["hyperparameters"] = chosen
    if profile.keeps_metadata:
        body["metadata"] = dict[str, JsonValue](metadata_of(spec, profile))
    return {**profile.extra_body, **body}  # so that no profile can take the token away


def metadata_of(spec: JobSpec, profile: HostProfile) -> dict[str, str]:
    """The user's own, our token, and where there is room for them the template and the order."""
    metadata = {**spec.metadata, TOKEN: spec.token}
    for key, value in ((TEMPLATE, told_template(spec.card)), (ORDER, spec.order)):
        if value and len(metadata) < profile.max_metadata_pairs and len(value) <= profile.max_metadata_value_characters:
            metadata[key] = value
    return metadata


def told_template(card: ModelCard) -> str:
    """What a model must be called with, as one short line of JSON."""
    told: dict[str, object] = {"kind": card.kind, "requested": card.requested_model, "base": card.base}
    if card.template is not None:
        template = card.template
        told["template"] = [template.separator, template.stop, template.leading_space]
    if card.labels:
        told["labels"] = list(card.labels)
    line = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    if len(line) > 512 and card.labels:  # labels may be many; the template is what matters
        del told["labels"]
        line = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return line


def _chosen(spec: JobSpec) -> dict[str, JsonValue]:
    given: dict[str, JsonValue] = spec.hyperparameters.model_dump(exclude_none=True, exclude={"options"})
    if spec.hyperparameters.options is not None:
        given |= {name: value for name, value in asdict(spec.hyperparameters.options).items() if value is not None}
    if spec.method != "dpo":
        return {key: value for key, value in given.items() if key != "beta"}
    return given
