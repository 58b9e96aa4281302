"""A few of the kills of `python -m tests.crashes`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks and kills processes as POSIX does")
def test_jobs_whose_workers_are_killed_at_any_instant_end_as_if_undisturbed() -> None:
    command = [sys.executable, "-m", "tests.crashes", "--kills", "6", "--seed", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 kills of" in done.stdout
