"""What this machine computes best with; measured once and kept under the home folder."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from finetune_kit._extras import require
from finetune_kit._replacing import replacing
from finetune_kit.backends.local.home import Home
from finetune_kit.errors import EngineError

SPIN_COUNT = "1000"
"""How long an idle thread of the OpenMP runtime spins before it sleeps. On two cores this costs 8 % of the speed
against the best value when alone, and keeps half of it beside one busy process; see docs/benchmarks.md."""
LARGE_PAGES = "glibc.malloc.hugetlb=1"
"""Lets glibc ask for large pages: activations are memory of many megabytes that is touched anew in every step."""
_CPUS = Path("/sys/devices/system/cpu")
_WORTH_IT = 1.2
"""bfloat16 is taken where it is at least so many times as fast as float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What a model is computed with, down to the last bit: others give other losses."""

    dtype: str
    """Of the frozen weights: `bfloat16` or `float32`."""
    threads: int
    """Of the processor: how many of them add up a sum decides how it is rounded."""

    def take(self) -> Any:
        """Compute with so many threads in this process; return the type as torch has it."""
        torch = import_torch()
        torch.set_num_threads(self.threads)
        return torch.bfloat16 if self.dtype == "bfloat16" else torch.float32


def quiet_threads(environment: MutableMapping[str, str]) -> None:
    """Keep waiting threads from burning the processor, and let memory come in large pages.

    The first works only before torch is imported in that process, the second only before it is started.
    """
    environment.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    environment.setdefault("GLIBC_TUNABLES", LARGE_PAGES)
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")


def import_torch() -> Any:
    """torch, with quiet threads; `MissingExtraError` with the pip line where it is not installed."""
    quiet_threads(os.environ)
    return require("torch", extra="local", purpose="The engine on this machine")


def pick_device(wanted: str | None) -> Any:
    """The device to compute on: `wanted`, else CUDA, else Apple's GPU, else the processor."""
    torch = import_torch()
    if wanted is None:
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise EngineError(
            f"the device {wanted!r} cannot be used: {str(error).splitlines()[0]}. Leave device= out."
        ) from error
    return device


def pick_numbers(home: Home, device: Any) -> Numbers:
    """The type for frozen weights on `device`, bfloat16 where it is faster, and the number of threads.

    Measured once on each machine, in a second, and kept in `machine.json`; delete that file to measure again.
    """
    torch = import_torch()
    if device.type != "cpu":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return Numbers(dtype="bfloat16" if fast else "float32", threads=torch.get_num_threads())
    path = home.root / "machine.json"
    counts = _thread_counts()
    machine = f"{platform.node()} {platform.machine()} {torch.__version__} {' or '.join(map(str, counts))} threads"
    try:
        kept = orjson.loads(path.read_bytes())
        if kept["machine"] == machine and kept["threads"] in counts:
            return Numbers(dtype="bfloat16" if kept["bfloat16"] else "float32", threads=kept["threads"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not measured yet, or half written: measure
    rates: dict[int, dict[str, float]] = {}
    for count in counts:
        torch.set_num_threads(count)
        rates[count] = {str(dtype): _rate(torch, dtype) for dtype in (torch.float32, torch.bfloat16)}
    best = max(counts, key=lambda count: max(rates[count].values()))
    faster = rates[best]["torch.bfloat16"] >= _WORTH_IT * rates[best]["torch.float32"]
    facts = {"machine": machine, "bfloat16": faster, "threads": best, "gflops": rates}
    with home.writing(path):
        home.make(home.root)
        with replacing(str(path)) as file:
            file.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    return Numbers(dtype="bfloat16" if faster else "float32", threads=best)


def _thread_counts() -> list[int]:
    """How many threads may be best: torch's own choice, and one for each core where cores run several threads."""
    count: int = import_torch().get_num_threads()
    cores = _cores()
    if "OMP_NUM_THREADS" in os.environ or not 0 < cores < count:
        return [count]
    return [count, cores]


def _cores() -> int:
    """Cores that this process may use; 0 where the system does not tell."""
    try:
        usable = os.sched_getaffinity(0)
        return len({(_CPUS / f"cpu{one}" / "topology" / "thread_siblings_list").read_text("ascii") for one in usable})
    except (AttributeError, OSError, UnicodeDecodeError):  # no Linux, or a container without it
        return 0


def _rate(torch: Any, dtype: Any) -> float:
    """GFLOP/s of a matrix product of the embedded model's shape: the best of many, for others disturb some."""
    rows, inner, outer = 512, 576, 1536
    x, w = torch.randn(rows, inner).to(dtype), torch.randn(outer, inner).to(dtype)
    for _ in range(3):
        torch.nn.functional.linear(x, w)
    begun, best = time.perf_counter(), float("inf")
    while (start := time.perf_counter()) - begun < 0.2:
        torch.nn.functional.linear(x, w)
        best = min(best, time.perf_counter() - start)
    return float(2 * rows * inner * outer / best / 1e9)
