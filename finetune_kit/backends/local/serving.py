"""Models in memory, ready to answer; a few of the last used are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from finetune_kit._progress import Progress
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import Loaded, load_base, merge_adapter

KEPT_MODELS = 3
"""Each holds its own merged weights: 270 MB for the embedded model."""


@dataclass(slots=True)
class Shelf:
    """Loaded models by name, the least recently used leaves first."""

    home: Home
    device: str | None
    progress: Progress
    _loaded: OrderedDict[str, Loaded] = field(default_factory=OrderedDict[str, Loaded])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def get(self, name: str, *, base: str, adapter: Path | None) -> Loaded:
        """The model, loaded if it is not in memory."""
        with self._lock:
            if name not in self._loaded:
                loaded = load_base(self.home, base, device=self.device, packed=False, progress=self.progress)
                if adapter is not None:
                    merge_adapter(loaded, adapter)
                loaded.model.eval()
                self._loaded[name] = loaded
                while len(self._loaded) > KEPT_MODELS:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(name)
            return self._loaded[name]
