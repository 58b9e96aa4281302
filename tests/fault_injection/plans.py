"""What one run puts the script through, decided by its seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from finetune_kit.hosts import host_profile
from finetune_kit.testing import Fault, Flavour
from finetune_kit.testing.simulator.flavour import flavour_of
from tests.fault_injection.faults import drawn

HOSTS = ("openai", "openai", "openai", "azure", "crusoe", "openai without metadata")
LINES, CALLS = 39_000, 9_200
"""About how many an undisturbed run of the code on trial has."""
SIGNALS_ONE_IN = 20
"""So many runs let a process of its own be killed by the system."""


@dataclass(frozen=True)
class Place:
    """Where a process dies."""

    at: int
    by_line: bool


@dataclass(frozen=True)
class Plan:
    """One run."""

    seed: int
    host: str
    faults: tuple[Fault, ...]
    deaths: tuple[Place | None, ...]
    by_signal: bool
    key: str

    @property
    def profile(self) -> str:
        """The host that the user names."""
        return "generic" if self.host == "openai without metadata" else self.host

    @property
    def model(self) -> str:
        """What is trained."""
        known = host_profile(self.profile).models
        return next(iter(known), "llama-3.3-70b")

    @property
    def flavour(self) -> Flavour:
        """What the host is."""
        return flavour_of("bare" if self.host == "openai without metadata" else self.host)


def planned(seed: int) -> Plan:
    """The run of a seed."""
    random = Random(f"fault injection {seed}")
    by_signal = seed % SIGNALS_ONE_IN == 0
    count = random.choice((1, 1, 2, 3) if by_signal else (0, 1, 1, 1, 2, 2, 3))
    deaths = [_place(random) if by_signal or random.random() < 0.8 else None for _ in range(count)]
    return Plan(
        seed=seed,
        host=random.choice(HOSTS),
        faults=drawn(random),
        deaths=tuple(deaths),
        by_signal=by_signal,
        key=f"sk-proj-{random.randbytes(24).hex()}",
    )


def _place(random: Random) -> Place:
    """Early ones are more frequent: the job is started there."""
    by_line = random.random() < 0.5
    return Place(at=1 + int((LINES if by_line else CALLS) * random.random() ** 2), by_line=by_line)
