"""What hosts send, read by hand: wrong types, nulls and missing members never break it."""

from finetune_kit.backends.hosted.objects.checkpoint import read_checkpoint
from finetune_kit.backends.hosted.objects.event import read_event
from finetune_kit.backends.hosted.objects.file import is_training_file, read_file
from finetune_kit.backends.hosted.objects.generation import read_chat_generation, read_generation
from finetune_kit.backends.hosted.objects.job import (
    decided_hyperparameters,
    method_of,
    read_job,
    seed_of,
    status_of,
    suffix_of,
)

__all__ = [
    "decided_hyperparameters",
    "is_training_file",
    "method_of",
    "read_chat_generation",
    "read_checkpoint",
    "read_event",
    "read_file",
    "read_generation",
    "read_job",
    "seed_of",
    "status_of",
    "suffix_of",
]
