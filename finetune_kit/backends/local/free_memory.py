"""How much memory a model may still take on this machine, and whether its weights alone are more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune_kit.errors import InsufficientMemoryError

if TYPE_CHECKING:
    import torch

_GB = 1e9
_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def check_weights(config: Any, dtype: Any, device: torch.device, *, base: str) -> None:
    """Raise `InsufficientMemoryError` where the weights of a model alone are more than is free on `device`."""
    import torch
    import transformers

    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    kind = dtype if isinstance(dtype, torch.dtype) else getattr(config, "dtype", None) or torch.float32
    needed = sum(one.numel() for one in model.parameters()) * kind.itemsize
    free = free_bytes(device)
    if free is not None and needed > free:
        names = str(kind).removeprefix("torch.")
        raise InsufficientMemoryError(
            f"the weights of {base} take {shown_bytes(needed)} in {names}, and {shown_bytes(free)} are free. Take a "
            "smaller base model, or free memory: close other programs and models.",
            needed_bytes=needed,
            free_bytes=free,
        )


def free_bytes(device: torch.device) -> int | None:
    """What can still be taken there; None where the system does not tell.

    On a processor it is the least of what the system can give without swapping and what the limits of the container
    (control groups, version 1 or 2) leave.
    """
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return min((found for found in (_of_system(), *_of_containers()) if found is not None), default=None)


def _of_system() -> int | None:
    try:
        for line in (_PROC / "meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:  # all there is, where the system does not say how much of it is free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_containers() -> Iterator[int | None]:
    """What each limit above this process leaves; memory that only caches files counts as free."""
    try:
        lines = (_PROC / "self" / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, where = rest.partition(":")
        if controllers == "":
            root, names = _CGROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = _CGROUPS / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        folder = root / where.lstrip("/")
        for one in (folder, *folder.parents):
            yield _left(one, *names)
            if one == root:
                break


def _left(folder: Path, limit_name: str, used_name: str, cached_name: str) -> int | None:
    try:
        limit = int((folder / limit_name).read_text(encoding="ascii"))  # "max" is none
        used = int((folder / used_name).read_text(encoding="ascii"))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
        return max(0, limit - used + int(stat.get(cached_name, 0)))
    except (OSError, ValueError):
        return None


def shown_bytes(size_bytes: int) -> str:
    """As people read it.

    >>> shown_bytes(1_430_000_000)
    '1.4 GB'
    """
    return f"{size_bytes / _GB:.1f} GB" if size_bytes >= _GB else f"{size_bytes / 1e6:.0f} MB"
