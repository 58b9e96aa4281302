"""Models in memory, ready to answer; adapters of one base share its weights, and the last used are kept."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from finetune_kit._progress import Progress
from finetune_kit.backends.local.adapters import Adapter
from finetune_kit.backends.local.generate import Answering, Served
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import load_base, merge_adapter

_SHARE_OF_MEMORY = 4
"""Models take at most this part of the machine's memory; the one that was asked for last stays in any case."""
_UNKNOWN_MEMORY = 16 << 30


@dataclass(slots=True)
class _Kept:
    base: str
    folder: Path | None
    model: Answering


@dataclass(slots=True)
class Shelf:
    """Models by name, the least recently used leaves first.

    An adapter that is the only model of its base is merged into its weights, which is the fastest. When another model
    of that base is asked for, the base is loaded once for all of them, and their adapters stay beside it.
    """

    home: Home
    device: str | None
    progress: Progress
    most_bytes: int = field(default_factory=lambda: machine_memory() // _SHARE_OF_MEMORY)
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict[str, _Kept])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def size_bytes(self) -> int:
        """Of all weights, those that are shared counted once."""
        served = {id(one.model.served): one.model.served.size_bytes for one in self._kept.values()}
        adapters = (one.model.adapter.size_bytes for one in self._kept.values() if one.model.adapter is not None)
        return sum(served.values()) + sum(adapters)

    def get(self, name: str, *, base: str, folder: Path | None) -> Answering:
        """The model, loaded if it is not in memory; `folder` holds its adapter, or the whole model."""
        with self._lock:
            if name not in self._kept:
                self._kept[name] = _Kept(base, folder, self._load(base, folder))
            self._kept.move_to_end(name)
            while self.size_bytes > self.most_bytes and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                if gone.model.adapter is not None:
                    gone.model.forget_prefixes()
                self._let_go(gone.model.served)
            return self._kept[name].model

    def _load(self, base: str, folder: Path | None) -> Answering:
        if folder is not None and not (folder / "adapter_config.json").is_file():
            return Answering(self._served(str(folder)))
        beside = [one for one in self._kept.values() if one.base == base and _of_base(one)]
        if folder is not None and not beside:
            return Answering(self._served(base, merged=folder))
        shared = next((one.model.served for one in beside if not _merged(one)), None) or self._served(base)
        for one in beside:
            if _merged(one):
                alone, one.model = one.model.served, self._beside(shared, base, one.folder)
                self._let_go(alone)
        return self._beside(shared, base, folder)

    def _let_go(self, served: Served) -> None:
        """Nothing of the engine's holds weights that no model here has any more."""
        if all(one.model.served is not served for one in self._kept.values()):
            served.scheduler.retire()

    def _beside(self, shared: Served, base: str, folder: Path | None) -> Answering:
        """An adapter beside its base; one that is more than plain LoRA gets weights of its own."""
        if folder is None:
            return Answering(shared)
        adapter = None if shared.decoder is None else Adapter.read(folder, shared.decoder)
        return Answering(self._served(base, merged=folder)) if adapter is None else Answering(shared, adapter)

    def _served(self, base: str, *, merged: Path | None = None) -> Served:
        loaded = load_base(self.home, base, device=self.device, packed=False, progress=self.progress)
        if merged is not None:
            merge_adapter(loaded, merged)
        return Served.of(loaded)


def machine_memory() -> int:
    """Bytes of this machine's memory."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no such call
        return _UNKNOWN_MEMORY


def _merged(one: _Kept) -> bool:
    return one.folder is not None and one.model.adapter is None


def _of_base(one: _Kept) -> bool:
    """Whether it is the base, or an adapter of it, rather than a whole model that came of it."""
    return one.folder is None or (one.folder / "adapter_config.json").is_file()
