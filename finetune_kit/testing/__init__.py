"""For tests of your own: a backend that trains nothing but answers, and suites for your own backends and rules."""

from finetune_kit.testing.conformance import check_backend
from finetune_kit.testing.memory_backend import MemoryBackend
from finetune_kit.testing.validator_conformance import check_validator

__all__ = ["MemoryBackend", "check_backend", "check_validator"]
