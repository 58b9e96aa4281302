"""Backends: the one seam to the outside."""

from finetune_kit.backends.connect import connect
from finetune_kit.backends.local import LocalBackend
from finetune_kit.backends.protocol import (
    Backend,
    Checkpoint,
    CountsTokens,
    Event,
    FileState,
    Generation,
    JobFault,
    JobSpec,
    JobState,
    PartJournal,
    Sampling,
)

__all__ = [
    "Backend",
    "Checkpoint",
    "CountsTokens",
    "Event",
    "FileState",
    "Generation",
    "JobFault",
    "JobSpec",
    "JobState",
    "LocalBackend",
    "PartJournal",
    "Sampling",
    "connect",
]
