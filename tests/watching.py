"""A watcher for runs of the trainer that nothing disturbs."""

from __future__ import annotations

from finetune_kit.backends.local.trainer import Measurement, Step


class Nobody:
    """Watches without a wish, and keeps nothing."""

    def stepped(self, step: Step, validation: Measurement | None) -> str:
        return ""

    def epoch_ended(self, step: Step, validation: Measurement | None) -> bool:
        return False

    def wished(self) -> str:
        return ""

    def should_save(self, seconds: float) -> bool:
        return False
