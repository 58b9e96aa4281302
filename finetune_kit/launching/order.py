"""What is to be trained, and how two such wishes are known to be the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from finetune_kit.backends import JobSpec
from finetune_kit.cards import DataFingerprint, Hyperparameters, ModelCard
from finetune_kit.hosts import Method, Resolved
from finetune_kit.ledger import Place
from finetune_kit.uploads import SpooledFile

_VERSION = 1
"""Of the fingerprint: with another one, no earlier training is found again."""
_MARK_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A training that somebody wants; its files are complete, and not at the host yet."""

    model: Resolved
    card: ModelCard
    """Goes with the model; the fingerprints of the files are put in here."""
    training: SpooledFile
    validation: SpooledFile | None = None
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    method: Method = "supervised"
    suffix: str | None = None
    seed: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    reuse_files: bool = True
    """Whether a file that was sent earlier, and is at the host still, need not be sent again."""

    @property
    def files(self) -> tuple[SpooledFile, ...]:
        """All that have to be at the host."""
        return (self.training,) if self.validation is None else (self.training, self.validation)

    def fingerprint(self, place: Place) -> str:
        """The same for every order that would train the same there."""
        return self._hash([place.host, place.account])

    @property
    def mark(self) -> str:
        """The same for every order that would train the same, whatever key it is given with: keys are renewed."""
        return self._hash([])[:_MARK_DIGITS]

    def _hash(self, where: list[str]) -> str:
        content = [
            _VERSION,
            where,
            [self.model.model, self.method, self.suffix, self.seed],
            self._settings(),
            dict(self.metadata),
            [[file.sha256, file.size_bytes] for file in self.files],
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _settings(self) -> dict[str, object]:
        """Without options that nobody asked for, so that orders from before there were any are found again."""
        settings = self.hyperparameters.model_dump(mode="json")
        if settings["options"] is None:
            del settings["options"]
        return settings

    def spec(self, *, token: str, files: tuple[str, ...]) -> JobSpec:
        """As a backend wants it, on files that are at the host."""
        training, validation = _fingerprint(self.training), _fingerprint(self.validation)
        return JobSpec(
            token=token,
            order=self.mark,
            model=self.model,
            training_file=files[0],
            validation_file=files[1] if len(files) > 1 else None,
            hyperparameters=self.hyperparameters,
            suffix=self.suffix,
            seed=self.seed,
            metadata=self.metadata,
            method=self.method,
            card=self.card.model_copy(update={"training": training, "validation": validation}),
        )


def _fingerprint(file: SpooledFile | None) -> DataFingerprint | None:
    return None if file is None else DataFingerprint(rows=file.rows, sha256=file.sha256)
