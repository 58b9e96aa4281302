"""For tests of your own: a backend that trains nothing but answers, and the suite that every backend has to pass."""

from finetune_kit.testing.conformance import check_backend
from finetune_kit.testing.memory_backend import MemoryBackend

__all__ = ["MemoryBackend", "check_backend"]
