"""What counts the tokens of a model, wherever the model is: found by its name, its host, or the backend it runs on."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from finetune_kit.backends import Backend, CountsTokens, LocalBackend
from finetune_kit.counts import How, TokenCounts, count_tokens
from finetune_kit.errors import MissingExtraError, UnknownModelError, WeightsError
from finetune_kit.hosts import HostProfile, ModelFacts, host_profile, host_profiles
from finetune_kit.records import Kind
from finetune_kit.rows import Rows
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import ExampleTokens, HostedTokens, encoding_of, tokenizer

_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Meter:
    """A model on a host, and what counts its tokens."""

    profile: HostProfile
    model: str
    """The base model, by the name that its host gives it."""
    facts: ModelFacts | None
    """None where the profile does not hold the model."""
    tokens: ExampleTokens
    templated: bool
    """Whether prompts and completions are written by a template, not as a conversation."""
    notes: tuple[str, ...] = ()
    """What was assumed, in sentences."""

    def count(self, rows: Rows, template: PromptTemplate | None, how: How) -> TokenCounts:
        """The tokens of these rows, in `template` where it applies."""
        return count_tokens(
            rows,
            self.tokens,
            host=self.profile.name,
            model=self.model,
            template=template if self.templated else None,
            limit=None if self.facts is None else self.facts.training_context_tokens,
            how=how,
            notes=self.notes,
        )


def meter(
    model: str,
    kind: Kind,
    *,
    host: str | None = None,
    backend: Backend | None = None,
    hosts: str | os.PathLike[str] | None = None,
) -> Meter:
    """What counts examples of `kind` for `model`.

    `host` is a profile's name; by default the first that knows the model, in the order of `finetune_kit.models()`.
    """
    if backend is not None:
        profile, resolved = backend.profile, backend.resolve(model)
        name = resolved.base or resolved.model
        notes: tuple[str, ...] = ()
    else:
        profile, name, notes = _found(model, host, hosts)
    facts = profile.models.get(name)
    kinds = profile.kinds_of(name)
    if backend is None and profile.name == _LOCAL:
        backend = LocalBackend()
    encoding = encoding_of(name) if facts is None else facts.tokenizer
    tokens, why = _tokens(backend, name, encoding, kinds)
    chat_only = bool(kinds) and "completion" not in kinds
    if kind == "completion" and chat_only:
        notes += (f"{name} takes conversations alone: each prompt and its completion are counted as one.",)
    elif kinds and kind not in kinds:
        notes += (f"{name} learns from {' and '.join(kinds)} examples; these are {kind} examples.",)
    templated = kind == "completion" and not chat_only
    return Meter(profile, name, facts, tokens, templated, (*notes, *why))


def _found(
    model: str, host: str | None, hosts: str | os.PathLike[str] | None
) -> tuple[HostProfile, str, tuple[str, ...]]:
    if host is not None:
        return _on(host_profile(host, hosts=hosts), model)
    profiles = host_profiles(hosts)
    for profile in profiles.values():
        if profile.knows(profile.fine_tuned_base(model) or model):
            return _on(profile, model)
    raise UnknownModelError(
        f"no host on file knows the model {model!r}. finetune_kit.models() lists those that are; tell of others in a "
        "file of your own, named by hosts= or the environment variable FINETUNE_KIT_HOSTS.",
        model=model,
        known=tuple(name for profile in profiles.values() for name in (*profile.models, *profile.aliases)),
    )


def _on(profile: HostProfile, model: str) -> tuple[HostProfile, str, tuple[str, ...]]:
    """The base model by name; one that is closed stays what it is, with the prices that it had."""
    base = profile.fine_tuned_base(model) or model
    if base in profile.models:
        return profile, base, ()
    resolved = profile.resolve(base)
    return profile, resolved.model, (resolved.note,) if resolved.note else ()


def _tokens(
    backend: object, model: str, encoding: str | None, kinds: Collection[Kind]
) -> tuple[ExampleTokens, tuple[str, ...]]:
    why: tuple[str, ...] = ()
    if isinstance(backend, CountsTokens):
        try:
            return backend.example_tokens(model), ()
        except (MissingExtraError, WeightsError) as error:
            why = (f"Not counted by the model's own tokenizer: {error}",)
    found = HostedTokens.of(encoding, kinds)
    if not found.exact and not why:
        try:
            tokenizer(encoding, estimate=False)
        except MissingExtraError as error:
            why = (str(error),)
    return found, why
