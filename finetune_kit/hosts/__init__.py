"""Host profiles: one host's limits, models and aliases, as data files with their source and date."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from finetune_kit.errors import ParameterError, UnknownModelError

FINE_TUNED_PREFIX = "ft:"


class Resolved(BaseModel):
    """What a model name means on a host."""

    model_config = ConfigDict(frozen=True)

    requested: str
    model: str
    note: str = ""
    """Why they differ, for the job's first event and the card; empty where they do not."""


class FileRules(BaseModel):
    """What a host wants of the files that are uploaded to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    as_of: str
    byte_order_mark: bool
    """Whether uploaded files must begin with one."""
    min_examples: int
    max_file_bytes: int


class HostProfile(FileRules):
    """One host's limits and models."""

    max_suffix_characters: int
    n_epochs_range: tuple[int, int]
    batch_size_range: tuple[int, int]
    learning_rate_multiplier_max: float
    models: dict[str, str]
    """Base models that can be fine-tuned there, each with a line about it."""
    aliases: dict[str, str] = Field(default_factory=dict[str, str])
    """Names that cannot exist there, and the model that stands in for each."""
    alias_note: str = ""

    def resolve(self, model: str) -> Resolved:
        """The base model behind `model`, or `UnknownModelError` that says which there are."""
        if model in self.models:
            return Resolved(requested=model, model=model)
        if model in self.aliases:
            stand_in = self.aliases[model]
            note = f"{model!r} does not exist on {self.name!r}: {stand_in!r} stands in for it. {self.alias_note}"
            return Resolved(requested=model, model=stand_in, note=note.strip())
        raise self.unknown(model)

    def unknown(self, model: str, *, others: tuple[str, ...] = ()) -> UnknownModelError:
        """The error for a name that means nothing there."""
        known = (*self.models, *others)
        near = get_close_matches(model, (*known, *self.aliases), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return UnknownModelError(
            f"the backend {self.name!r} knows no model {model!r}.{hint} It knows {', '.join(map(repr, known))}, "
            f"and stand-ins for {', '.join(map(repr, self.aliases)) or 'no other name'}.",
            model=model,
            known=(*known, *self.aliases),
        )


_PROFILES = ("local",)
_RULES = TypeAdapter(list[FileRules])


@cache
def host_profile(name: str) -> HostProfile:
    """The profile that the package ships for `name`."""
    if name not in _PROFILES:
        raise ParameterError(f"there is no host profile {name!r}; there are {', '.join(_PROFILES)}.", parameter="host")
    return HostProfile.model_validate_json((files(__name__) / f"{name}.json").read_bytes())


@cache
def file_rules(name: str) -> FileRules:
    """What the host `name` wants of files; hosts are known here before jobs can run there."""
    rules = {rule.name: rule for rule in _RULES.validate_json((files(__name__) / "file_rules.json").read_bytes())}
    if name in rules:
        return rules[name]
    if name in _PROFILES:
        return host_profile(name)
    known = ", ".join((*rules, *_PROFILES))
    raise ParameterError(f"host={name!r} is not known; there are {known}.", parameter="host")
