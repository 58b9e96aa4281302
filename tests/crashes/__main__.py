"""Workers killed at random instants: `python -m tests.crashes --kills 200 --seed 0`.

Every job must end succeeded, with the steps, losses and adapter of the undisturbed run, and nothing left over.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.crashes.run import crash
from tests.tiny import write_tiny_base


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        base = write_tiny_base(Path(folder) / "base")
        report = crash(base, Path(folder), kills=wanted.kills, seed=wanted.seed)
    print(*report.failures, sep="\n", end="\n" if report.failures else "")
    kills = sum(report.kills.values())
    print(f"{kills} kills of {report.jobs} jobs in {time.monotonic() - begun:.0f} s, by status {dict(report.kills)}")
    print(f"{report.resumed} times a saved state was taken up; {len(report.failures)} failures")
    return 1 if report.failures else 0


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded
    sys.exit(main())
