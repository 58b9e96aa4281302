"""For tests of your own: a backend that trains nothing but answers, a host to call, and suites for your own parts."""

from finetune_kit.testing.conformance import check_backend
from finetune_kit.testing.memory_backend import MemoryBackend
from finetune_kit.testing.simulator import FLAVOURS, Fault, Flavour, HostSimulator, ManualClock, Pace
from finetune_kit.testing.validator_conformance import check_validator

__all__ = [
    "FLAVOURS",
    "Fault",
    "Flavour",
    "HostSimulator",
    "ManualClock",
    "MemoryBackend",
    "Pace",
    "check_backend",
    "check_validator",
]
