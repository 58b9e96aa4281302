"""The state of a run on disk: safetensors only, so that loading it can run nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_kit._home import settle

if TYPE_CHECKING:
    import torch


_DIGEST = "sha256"


@dataclass(frozen=True, slots=True)
class StateFile:
    """Whole, or absent; the one before it is kept, for when a loss of power has torn the newest."""

    path: Path

    def write(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, str]) -> None:
        """Put them in the place of what was there."""
        from safetensors.torch import save

        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self._part
        with part.open("wb") as file:
            file.write(save(dict(tensors), metadata={**facts, _DIGEST: _digest(tensors, facts)}))
            file.flush()
            os.fsync(file.fileno())
        if self.path.is_file():
            self.path.replace(self._previous)
        part.replace(self.path)
        settle(self.path.parent)

    def read(self, device: torch.device) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
        """Tensors on `device` and facts, of the newest that is sound; nothing where there is none."""
        found = (_read(path, device) for path in (self.path, self._previous))
        return next((state for state in found if state is not None), None)

    def forget(self) -> None:
        """Delete it."""
        for path in (self.path, self._previous, self._part):
            path.unlink(missing_ok=True)

    @property
    def _previous(self) -> Path:
        return self.path.with_suffix(".previous" + self.path.suffix)

    @property
    def _part(self) -> Path:
        return self.path.with_suffix(".part")


def _read(path: Path, device: torch.device) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
    if not path.is_file():
        return None
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            facts: dict[str, str] = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  it is no dict
    except SafetensorError:  # damaged, by a power failure most likely
        return None
    digest = facts.pop(_DIGEST, None)
    # Blocks of zeros make a valid file too. States of versions that wrote no digest are taken as they are.
    return None if digest not in (None, _digest(tensors, facts)) else (tensors, facts)


def _digest(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, str]) -> str:
    import torch

    digest = hashlib.sha256(repr(sorted(facts.items())).encode())
    for key in sorted(tensors):
        digest.update(key.encode())
        digest.update(tensors[key].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
