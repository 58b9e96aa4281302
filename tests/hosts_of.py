"""The memory backend with the limits of a host, on a day of November 2026; it keeps what was asked of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from finetune_kit._clock import FastClock
from finetune_kit.backends import FileState, JobSpec, JobState
from finetune_kit.hosts import HostProfile, host_profile
from finetune_kit.testing import MemoryBackend
from finetune_kit.uploads import SpooledFile


def november(factor: float = float("inf")) -> FastClock:
    """It is the 24th, and waiting takes no time, or a part of it."""
    return FastClock(factor, start=datetime(2026, 11, 24, 12).timestamp())  # noqa: DTZ001 - wherever the test runs


class LikeHost(MemoryBackend):
    """A host by its profile."""

    def __init__(self, host: str, **changes: object) -> None:
        super().__init__()
        self._profile = host_profile(host).model_copy(update=changes)
        self.specs: list[JobSpec] = []
        self.uploads: list[list[Any]] = []
        self.raw: list[bytes] = []

    @property
    def profile(self) -> HostProfile:
        return self._profile

    def upload(self, file: SpooledFile, **more: Any) -> FileState:
        self.uploads.append([json.loads(line) for line in file.lines()])
        self.raw.append(file.content())
        return super().upload(file, **more)

    def start(self, spec: JobSpec) -> JobState:
        self.specs.append(spec)
        return super().start(spec)

    @property
    def untouched(self) -> bool:
        """Whether nothing was uploaded or started."""
        return not self.specs and not self.uploads
