"""Migrating: a job's data trained again on another host or on this machine, and compared with the original."""

from finetune_kit.migrating.carried import Given
from finetune_kit.migrating.comparison import Agreement, Compared, Comparison
from finetune_kit.migrating.migration import Migration, move

__all__ = ["Agreement", "Compared", "Comparison", "Given", "Migration", "move"]
