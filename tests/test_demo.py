"""The demo, run as a user runs it, on the real base model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOUNDING_ANSWER = "尝尝招牌砂锅鸡吧，鲜掉眉毛！"


@pytest.mark.real_model
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_chinese_bot_answers_every_trained_question_word_for_word(real_home: Path) -> None:
    command = [sys.executable, "-m", "finetune_kit", "demo", "--only", "zh", "--home", str(real_home)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=800)
    assert done.returncode == 0, done.stderr
    assert FOUNDING_ANSWER in done.stdout
    assert "Word for word as trained: 24 of 24." in done.stdout
