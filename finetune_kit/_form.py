"""As what examples are sent: conversations as they are, prompts and completions in a template or as two turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.backends import Backend
from finetune_kit.cards import ModelCard
from finetune_kit.errors import ParameterError, UnknownModelError
from finetune_kit.hosts import HostProfile, Resolved
from finetune_kit.records import Kind
from finetune_kit.sides import Sides
from finetune_kit.templates import PromptTemplate
from finetune_kit.validators import AnyValidator, row_validator


@dataclass(frozen=True, slots=True)
class Form:
    """What the model, and an earlier one that is trained further, make of the examples."""

    kind: Kind
    """What the model learns from."""
    template: PromptTemplate | None
    note: str = ""
    """What is done otherwise than one would think; empty where nothing is."""
    continued: bool = False
    """Whether the template is that of an earlier model, and the data have to fit it."""

    @classmethod
    def of(cls, sides: Sides, place: Backend, resolved: Resolved) -> Form:
        """`ParameterError` where the model does not learn from such examples, and nothing can be made of them."""
        base = resolved.base or resolved.model
        kind, kinds, note = sides.kind, place.profile.kinds_of(base), ""
        if kind == "completion" and kinds and "completion" not in kinds:
            kind = "chat"
            note = (
                f"{base} takes conversations alone: each prompt is sent as the user's message and its completion as "
                "the assistant's, without a template."
            )
        elif kinds and kind not in kinds:
            raise _not_learned(base, place.profile, kind, kinds)
        if not resolved.base:
            return cls(kind, sides.choose_template() if kind == "completion" else None, note)
        earlier = _card(place, resolved.model, needed=kind == "completion")
        if earlier is None:
            return cls(kind, None, note)
        # Preference pairs are conversations, and either may follow on the other.
        if (earlier.kind == "completion") != (kind == "completion"):
            raise ParameterError(
                f"{earlier.name or resolved.model} learned from {earlier.kind} examples; these are {sides.kind} "
                "examples. Convert them, or start from a base model.",
                parameter="model",
            )
        return cls(kind, _template_of(earlier, sides, kind), note, continued=True)

    def rules(self) -> Iterator[AnyValidator]:
        """The data must fit the template that a model already has."""
        if self.continued and self.template is not None:
            hint = "Change the text, or start from a base model: then a template is chosen that fits."
            yield row_validator("template", hint=hint)(self.template.misfit)


def _card(place: Backend, model: str, *, needed: bool) -> ModelCard | None:
    """An earlier model's papers; conversations can do without, where they are on another machine."""
    try:
        return place.card(model)
    except UnknownModelError:
        if needed:
            raise
        return None


def _template_of(earlier: ModelCard, sides: Sides, kind: Kind) -> PromptTemplate | None:
    """The earlier model's own; one that is not known, because another machine trained it, is chosen."""
    if kind != "completion":
        return None
    return earlier.template or sides.choose_template()


def _not_learned(base: str, profile: HostProfile, kind: Kind, kinds: tuple[Kind, ...]) -> ParameterError:
    convert = "data.to_completion()" if kind == "chat" else "data.to_chat(), which keeps the preferred answers"
    return ParameterError(
        f"{base} on {profile.name!r} learns from {' and '.join(kinds)} examples, and these are {kind} examples. "
        f"Convert them by {convert}, or choose another model.",
        parameter="model",
    )
