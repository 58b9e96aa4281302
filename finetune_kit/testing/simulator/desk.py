"""What the parts of one simulated host share."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

from finetune_kit import _clock
from finetune_kit.testing.simulator.files import FileShelf
from finetune_kit.testing.simulator.flavour import Flavour
from finetune_kit.testing.simulator.models import ModelShelf
from finetune_kit.testing.simulator.names import Names
from finetune_kit.testing.simulator.pace import Pace
from finetune_kit.testing.simulator.training import Trainer


@dataclass(slots=True, kw_only=True)
class Desk:
    """One host's state; whoever reads or changes it holds the lock."""

    flavour: Flavour
    pace: Pace
    names: Names
    random: random.Random
    files: FileShelf
    models: ModelShelf
    trainer: Trainer
    clock: _clock.Clock | None
    skew_seconds: float = 0.0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def now(self) -> float:
        """Seconds since 1970 by the host's clock, which may be wrong."""
        return (self.clock or _clock.clock()).now() + self.skew_seconds
