"""Seeded runs of a whole training through faults and deaths: `python -m tests.fault_injection --runs 2000 --seed 0`.

Each run draws faults of the simulated host and places at which the process dies, starts the script of a user again and
again until it has its model, and counts at the host: one job, no event missed or repeated, each file once, and no part
of the key in anything that was printed, logged or kept. `--show` runs one seed and prints all that was said.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.fault_injection.plans import planned
from tests.fault_injection.run import Report, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the first run; the others follow")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="run this one seed, and print what was said")
    wanted = parser.parse_args()
    if wanted.show:
        return _show(wanted.seed)
    seeds = range(wanted.seed, wanted.seed + wanted.runs)
    begun = time.monotonic()
    total = Total()
    with ProcessPoolExecutor(wanted.workers, mp_context=get_context("spawn")) as pool:
        for report in pool.map(run, seeds, chunksize=4):
            total.add(report)
            if total.runs % 100 == 0:
                print(f"{total.runs:,} runs, {len(total.failed)} failed, {time.monotonic() - begun:.0f} s", flush=True)
    print(total.told(seeds, time.monotonic() - begun))
    return 1 if total.failed else 0


def _show(seed: int) -> int:
    print(planned(seed))
    report = run(seed)
    print(report.said)
    print(dict(report.attempts), dict(report.faults), *report.failures, sep="\n")
    return 1 if report.failures else 0


class Total:
    """All runs together."""

    def __init__(self) -> None:
        self.runs = self.requests = self.events = self.signals = 0
        self.attempts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.failed: dict[int, list[str]] = {}

    def add(self, report: Report) -> None:
        self.runs += 1
        self.requests += report.requests
        self.events += report.events
        self.attempts += report.attempts
        self.faults += report.faults
        if planned(report.seed).by_signal:
            self.signals += report.attempts["killed"]
        if report.failures:
            self.failed[report.seed] = report.failures
            print(f"seed {report.seed}:", *report.failures, sep="\n    ", flush=True)
            if any(failure.startswith("hangs") for failure in report.failures):
                print(report.said, flush=True)

    def told(self, seeds: range, seconds: float) -> str:
        counts = Counter(failure.partition(":")[0] for failures in self.failed.values() for failure in failures)
        return "\n".join(
            (
                f"seeds {seeds.start} to {seeds.stop - 1}: {self.runs:,} runs in {seconds:.0f} s",
                f"{self.requests:,} requests, {self.events:,} events",
                f"{self.attempts['killed']:,} deaths, {self.signals:,} of them by SIGKILL",
                f"attempts ended as {dict(self.attempts.most_common())}",
                f"faults that hit {dict(self.faults.most_common())}",
                f"failed: {len(self.failed)} runs {dict(counts)}",
            )
        )


if __name__ == "__main__":
    sys.exit(main())
