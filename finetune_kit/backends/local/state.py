"""The state of a run on disk: safetensors only, so that loading it can run nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class StateFile:
    """Whole, or absent."""

    path: Path

    def write(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, str]) -> None:
        """Put them in the place of what was there."""
        from safetensors.torch import save

        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(save(dict(tensors), metadata=dict(facts)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)

    def read(self, device: torch.device) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
        """Tensors on `device` and facts; nothing where there are none, or none that are sound."""
        if not self.path.is_file():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt", device=str(device)) as file:
                facts: dict[str, str] = file.metadata()
                return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118  it is no dict
        except SafetensorError:  # damaged, by a power failure most likely: the run begins anew
            return None

    def forget(self) -> None:
        """Delete it."""
        self.path.unlink(missing_ok=True)
