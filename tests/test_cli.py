"""`python -m finetune_kit`, as a shell runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from finetune_kit import __version__
from finetune_kit.cli import main

WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None; from finetune_kit.cli import main; sys.exit(main(sys.argv[1:]))"
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_version() -> None:
    done = run("-m", "finetune_kit", "--version")
    assert (done.returncode, done.stdout) == (0, f"finetune_kit {__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["dance"], ["demo", "--only", "fr"]])
def test_wrong_call_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_help_names_the_demo() -> None:
    done = run("-m", "finetune_kit", "--help")
    assert done.returncode == 0
    assert "demo" in done.stdout


def test_missing_torch_exits_with_1_and_says_the_pip_line(tmp_path: Path) -> None:
    done = run("-c", WITHOUT_TORCH, "demo", "--home", str(tmp_path))
    assert done.returncode == 1
    assert "pip install torch==2.13.0" in done.stderr
    assert "Traceback" not in done.stderr
