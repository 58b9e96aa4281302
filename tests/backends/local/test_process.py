"""Only the very process that was noted is ended, never a later one with its number."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from finetune_kit.backends.local.process import Process, _mark

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows does not tell processes apart")


def test_a_process_is_told_from_others() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        marks = {_mark(other.pid), _mark(os.getpid())}
        assert len(marks - {""}) == 2
        assert Process.current() == Process(os.getpid(), _mark(os.getpid()))


@pytest.mark.parametrize("mark", ["", "another's"])
def test_a_process_with_the_number_of_another_is_left_alone(mark: str) -> None:
    assert not Process(os.getpid(), mark).kill()


@pytest.mark.parametrize("leads", [True, False])
def test_the_process_itself_is_ended(*, leads: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=leads) as other:
        process = Process(other.pid, _mark(other.pid))
        assert process.kill()
        assert other.wait(30) < 0
    assert not process.kill()
