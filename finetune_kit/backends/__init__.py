"""Backends: the one seam to the outside."""

from finetune_kit.backends.connect import connect
from finetune_kit.backends.local import LocalBackend
from finetune_kit.backends.protocol import (
    Backend,
    Checkpoint,
    CountsTokens,
    Event,
    Generation,
    JobFault,
    JobSpec,
    JobState,
    Sampling,
)

__all__ = [
    "Backend",
    "Checkpoint",
    "CountsTokens",
    "Event",
    "Generation",
    "JobFault",
    "JobSpec",
    "JobState",
    "LocalBackend",
    "Sampling",
    "connect",
]
