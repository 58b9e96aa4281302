"""Whether a host still trains anything on such examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.hosts import HostProfile, today
from finetune_kit.records import Kind
from finetune_kit.rows import Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity

_CALLED: dict[Kind, tuple[str, str]] = {
    "completion": (
        "prompts and completions",
        '`train` sends them as conversations, and `data.to_chat()` makes some here; `host="local"` takes both.',
    ),
    "chat": ("conversations", "`data.to_completion()` makes prompts and completions of them."),
    "preference": ("preference pairs", "`data.to_chat()` makes conversations of the preferred answers."),
}


@dataclass(frozen=True, slots=True)
class HostKind:
    """A host has models for some kinds of examples only, and closes them one after the other.

    Bad:  prompts and completions for a host whose models that complete were shut down
    Good: conversations for it
    """

    host: HostProfile

    code = "host_kind"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        day, models = today(), self.host.models.values()
        open_for = {kind for facts in models if facts.state(day) == "trainable" for kind in facts.kinds}
        if not open_for or last.kind in open_for:  # some hosts do not say what their models learn from
            return
        called, hint = _CALLED[last.kind]
        message = f"{self.host.name!r} has no model that can be trained on {called} ({self.host.as_of})"
        yield Issue(self.code, Severity.INFO, message, hint=hint)
